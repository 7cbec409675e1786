"""The table of Newton-Krylov says what its steps record."""

import numpy as np
import pandas as pd
import pytest
from krylov_frames import CONTEXT, krylov_tables

from secondorder import tables

NOTE = "Made with data that fails its published checksums."


CURVES = pd.DataFrame(
    [
        {"problem": "mnist_mlp", "run": run, "metric": metric, "mean": loss}
        for metric, scale in (("training_loss", 1), ("validation_loss", 2))
        for run, losses in {"krylov": (2.0, 0.25), "capped": (2.0, 0.5), "sgd": (2.0, 0.75)}.items()
        for loss in (scale * value for value in losses)
    ]
)


def build(**changes):
    return tables.load("krylov").build({**krylov_tables(**changes), "curves": CURVES}, CONTEXT)


def test_a_row_is_a_run_with_all_its_seeds():
    rows = build().rows
    assert rows["optimizer"].tolist() == ["krylov", "capped", "variant"]
    assert rows["seeds"].tolist() == [2, 2, 2]
    assert rows["steps"].tolist() == [160, 160, 160]


def test_training_loss_is_that_at_the_end_of_the_curve():
    assert build().rows["training_loss"].tolist()[:2] == [0.25, 0.5]


def test_run_whose_curve_is_missing_has_no_training_loss():
    assert build().shown()["training_loss"].tolist()[2] == "–"


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("products", 4.0),
        ("all_products", 320.0),
        ("converged", 25.0),
        ("disturbed", 50.0),
        ("capped", 25.0),
        ("boundary", 0.0),
        ("rejected", 25.0),
        ("taylor_error", 0.5),
    ],
)
def test_numbers_are_over_all_steps(column, value):
    assert build().rows[column].tolist() == [value] * 3


def test_error_that_is_not_measured_is_a_dash():
    assert build(taylor_error=np.nan).shown()["taylor_error"].tolist() == ["–"] * 3


def test_runs_have_their_labels():
    assert build().shown()["optimizer"].tolist() == ["Newton-Krylov", "Few products", "Variant"]


@pytest.mark.parametrize("verified", [True, False])
def test_note_on_unverified_data(verified):
    assert build(verified=verified).caption.endswith(NOTE) is not verified


def test_table_can_be_written_in_all_forms():
    table = build()
    assert table.markdown().count("\n") > len(table.rows)
    assert table.latex().startswith(r"\begin{table}")
