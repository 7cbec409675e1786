"""The tables of the curvature stage say what its numbers say."""

import pandas as pd
import pytest
from curvature_frames import everything, product_error

from secondorder import tables
from secondorder.presentation import Context
from secondorder.problems.metrics import ACCURACY
from secondorder.tables.table import Table

METRICS = dict.fromkeys(("mnist_mlp", "other"), ACCURACY.to_mapping())
CONTEXT = Context(labels={"sgd": "SGD", "adam": "Adam"}, targets={}, confidence=0.95, exclusive=True, metrics=METRICS)
NOTE = "Made with data that fails its published checksums."
NAMES = (
    "exact_hessian",
    "product_error",
    "product_cost",
    "newton_ascent",
    "sharpness",
    "approximations",
    "spectral_controls",
)


def build(name, verified=True):
    return tables.load(name).build(everything(verified=verified), CONTEXT)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("verified", [True, False])
def test_note_on_unverified_data(name, verified):
    assert build(name, verified).caption.endswith(NOTE) is not verified


@pytest.mark.parametrize("name", NAMES)
def test_building_changes_no_table(name):
    given = everything()
    copies = {table: frame.copy() for table, frame in given.items()}
    tables.load(name).build(given, CONTEXT)
    for table, frame in given.items():
        pd.testing.assert_frame_equal(frame, copies[table])


@pytest.mark.parametrize("name", NAMES)
def test_table_can_be_written_in_all_forms(name):
    table = build(name)
    assert table.markdown().count("\n") > len(table.rows)
    assert table.latex().startswith(r"\begin{table}")


def test_worst_error_of_all_activations_is_shown_and_controls_come_last():
    rows = build("exact_hessian").rows
    assert rows["hessian"].tolist() == ["closed form", "closed form", "one sign flipped"]
    assert rows["eigenvalue_error"].tolist() == [1e-15, 1e-13, 0.1]
    assert rows["cases"].tolist() == [4, 4, 4]
    assert rows["passed"].tolist() == [4, 4, 0]


def test_errors_of_products_span_the_steps_and_controls_come_last():
    rows = build("product_error").rows
    assert rows["product"].tolist()[-6:] == ["another point"] * 6
    row = rows.set_index(["network", "dtype", "product"]).loc[("recurrent", "float64", "finite difference")]
    assert row[["steps", "best", "best_step", "worst", "refused"]].tolist() == [4, 1e-5, 1e-4, 0.1, 1]


@pytest.mark.parametrize(
    ("error", "answer"),
    [
        pytest.param(1e-15, "Perceptron yes, at most 1.0e-15; convolutional yes", id="within"),
        pytest.param(3e-14, "Perceptron no, at most 3.0e-14; convolutional no", id="beyond"),
        pytest.param(float("nan"), "Perceptron no, at most nan; convolutional no", id="refused"),
    ],
)
def test_caption_says_whether_the_complex_step_is_exact_at_every_step(error, answer):
    given = {"product_error": product_error(complex_error=error)}
    caption = tables.load("product_error").build(given, CONTEXT).caption
    assert f"in float64 within 1e-14 at every step from 1e-08 down to 1e-100? {answer}" in caption
    assert "in float32 within 2e-06 at every step from 1e-08 down to 1e-30? Perceptron yes" in caption


def test_costs_of_products_stand_beside_their_floor():
    table = build("product_cost")
    row = table.rows.set_index(["network", "batch_size", "width", "product"]).loc[("perceptron", 64, 64, "r operator")]
    assert row[["time", "floor", "times_floor", "memory"]].tolist() == [3, 1, 3, 3]
    assert "3.00 (2.70–3.60)" in table.shown()["time"].tolist()


def test_ascents_are_percentages_by_damping():
    rows = build("newton_ascent").rows.set_index(["optimizer", "budget", "hessian"])
    assert rows.loc[("adam", 100, "one sample"), ["newton 0", "newton 0.1", "absolute"]].tolist() == [0, 50, 0]
    assert rows.loc[("sgd", 0, "batch of 2"), ["newton 0", "newton 0.1", "absolute"]].tolist() == [0, 0, 0]
    assert rows["count"].tolist() == [2] * 8
    assert rows["uphill"].tolist() == pytest.approx([20] * 8)
    assert rows.loc[("sgd", 0, "batch of 2"), "negative"] == 6.5


def test_sharpness_is_a_median_with_its_range():
    rows = build("sharpness").rows.set_index(["problem", "optimizer"])
    first = rows.loc[("mnist_mlp", "sgd")]
    assert first[["largest_eigenvalue", "largest_eigenvalue_min", "largest_eigenvalue_max"]].tolist() == [11, 10, 12]
    assert first["metric_gap"] == pytest.approx(1.1)
    assert rows["diverged"].tolist() == [0, 1, 0, 0]
    assert rows["unconverged"].tolist() == [0, 0, 1, 0]
    assert rows.loc[("other", "sgd"), "largest_eigenvalue"] == 11


def test_approximations_are_means_at_the_end_and_count_what_converged():
    rows = build("approximations").rows.set_index("method")
    few = rows.loc["Lanczos, 5 products"]
    assert few[["hessians", "converged"]].tolist() == [2, 1]
    assert few[["matrix_error", "direction_cosine", "residual"]].tolist() == pytest.approx([0.3, 0.7, 0.04])
    assert few[["matrix_error_min", "matrix_error_max"]].tolist() == pytest.approx([0.2, 0.4])


@pytest.mark.parametrize("method", ["K-FAC", "Hutchinson trace, 2 probes"], ids=["refused once", "no matrix"])
def test_measure_that_is_not_known_of_every_hessian_is_a_dash(method):
    shown = build("approximations").shown().set_index("method")
    assert shown.loc[method, "matrix_error"] == "–"


def test_intervals_of_eigenvalues_and_directions_are_shown_and_the_others_in_the_csv():
    table = build("approximations")
    assert table.shown().set_index("method").loc["Lanczos, 5 products", "leading_error"] == "0.30 (0.20–0.40)"
    assert "matrix_error_min" in table.rows
    assert "matrix_error_min" not in table.markdown()


def test_costs_of_approximations_are_means_too():
    rows = build("approximations").rows.set_index("method")
    costs = rows.loc["Lanczos, 5 products", ["gradient_equivalents", "seconds", "mebibytes", "numbers"]]
    assert costs.tolist() == [5, 0.05, 5, 50]


def test_each_control_stands_beside_its_sound_counterpart():
    rows = build("spectral_controls").rows
    assert rows["sound"].tolist() == [False, True]
    assert rows["caught"].tolist() == [True, False]


@pytest.mark.parametrize(
    ("value", "digits", "text"),
    [
        (2.7123e-15, 2, "2.7e-15"),
        (1e-12, 2, "1.0e-12"),
        (19.0, 3, "19.0"),
        (2045.8, 3, "2050"),
        (-0.01234, 2, "-0.012"),
        (0.0, 3, "0.00"),
        (1.5e7, 2, "1.5e+07"),
        (float("nan"), 2, "–"),
        (float("inf"), 2, "∞"),
    ],
)
def test_numbers_are_shown_with_significant_digits(value, digits, text):
    table = Table(pd.DataFrame({"size": [value]}), "Caption.", significant={"size": digits})
    assert table.shown()["size"].tolist() == [text]
