"""The tables of the curvature stage say what its numbers say."""

import pandas as pd
import pytest
from curvature_frames import everything

from secondorder import tables
from secondorder.presentation import Context
from secondorder.tables.table import Table

CONTEXT = Context(labels={"sgd": "SGD", "adam": "Adam"}, targets={}, confidence=0.95, exclusive=True)
NOTE = "Made with data that fails its published checksums."
NAMES = ("exact_hessian", "newton_ascent", "sharpness")


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
    assert first["accuracy_gap"] == pytest.approx(1.1)
    assert rows["diverged"].tolist() == [0, 1, 0, 0]
    assert rows["unconverged"].tolist() == [0, 0, 1, 0]
    assert rows.loc[("other", "sgd"), "largest_eigenvalue"] == 11


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
