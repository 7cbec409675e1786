"""The table of studies shows each varied run with its variants; the other tables show no variants."""

import math

import pandas as pd
import pytest
from curvature_frames import sharpness

from secondorder import tables
from secondorder.presentation import Context

CONTEXT = Context(
    labels={"sgd": "SGD", "lbfgs": "L-BFGS", "adam": "Variant"},
    targets={},
    confidence=0.95,
    exclusive=True,
    studies={"rates": ["sgd", "adam"], "elsewhere": ["sgd", "not_trained"]},
    study_labels={"rates": "Learning rates", "elsewhere": "Elsewhere"},
)


@pytest.fixture
def given():
    runs = ("sgd", "lbfgs", "adam")
    finals = pd.DataFrame(
        {
            "problem": "mnist_mlp",
            "run": runs,
            "metric": "accuracy (%)",
            "better": "higher",
            "seeds": 3,
            "mean": [90.0, 91.0, math.nan],
            "ci_low": [89.0, 90.5, math.nan],
            "ci_high": [90.5, 91.5, math.nan],
            "diverged": [0, 0, 1],
        }
    )
    curves = pd.DataFrame(
        [
            {"problem": "mnist_mlp", "run": run, "metric": "training_loss", "step": step, "mean": 1 / (step + place)}
            for place, run in enumerate(runs, start=1)
            for step in (0, 9)
        ]
    )
    seeds = pd.DataFrame({"data_verified": [True]})
    return {"final_metric": finals, "curves": curves, "seeds": seeds, "sharpness": sharpness()}


def test_rows_are_the_varied_run_and_its_variants(given):
    rows = tables.load("studies").build(given, CONTEXT).rows
    assert rows[["problem", "study", "optimizer"]].to_numpy().tolist() == [
        ["mnist_mlp", "Learning rates", "sgd"],
        ["mnist_mlp", "Learning rates", "adam"],
    ]


def test_numbers_are_those_at_the_end_of_training(given):
    first = tables.load("studies").build(given, CONTEXT).rows.iloc[0]
    assert (first["updates"], first["training_loss"], first["mean"]) == (9, 1 / 10, 90.0)
    assert (first["largest_eigenvalue_min"], first["largest_eigenvalue"], first["largest_eigenvalue_max"]) == (
        10.0,
        11.0,
        12.0,
    )


def test_diverged_variant_has_no_means(given):
    last = tables.load("studies").build(given, CONTEXT).rows.iloc[-1]
    assert last["diverged"] == 1
    assert math.isnan(last["training_loss"])
    assert math.isnan(last["mean"])


def test_run_without_a_curve_has_no_training_loss(given):
    curves = given["curves"][given["curves"]["run"] != "sgd"]
    first = tables.load("studies").build({**given, "curves": curves}, CONTEXT).rows.iloc[0]
    assert math.isnan(first["training_loss"])
    assert math.isnan(first["updates"])


def test_other_tables_show_no_variants(given):
    rows = tables.load("final_metric").build(given, CONTEXT).rows
    assert list(rows["optimizer"]) == ["sgd", "lbfgs"]
