"""The test metric: as it is shown, over all seeds, and no mean when one diverged."""

import numpy as np
import pandas as pd
import pytest
from statistics_rows import seed_rows

from secondorder.problems.metrics import ACCURACY, SQUARED_RECONSTRUCTION_ERROR
from secondorder.statistics.final_metric import summarise_final_metric

METRICS = {"p": ACCURACY, "o": ACCURACY, "images": SQUARED_RECONSTRUCTION_ERROR}


def final(run, accuracies, problem="p", metric="test_accuracy", scope="final"):
    return pd.DataFrame(
        [
            {"problem": problem, "run": run, "seed": seed, "scope": scope, "metric": metric, "value": value}
            for seed, value in accuracies.items()
        ]
    )


def summary(metrics, seeds, confidence=0.95):
    return summarise_final_metric(metrics, seeds, METRICS, confidence, 999)


def test_one_row_per_problem_and_run_in_the_order_of_the_seeds():
    order = [("p", "b"), ("p", "a"), ("o", "b")]
    metrics = pd.concat([final(run, {0: 0.5}, problem) for problem, run in order])
    found = summary(metrics, pd.concat([seed_rows(problem, run, ["finished"]) for problem, run in order]))
    assert list(zip(found["problem"], found["run"], strict=True)) == order
    assert list(found.columns) == [
        *("problem", "run", "metric", "better", "seeds", "mean", "ci_low", "ci_high", "diverged")
    ]


def test_mean_is_in_percent_and_the_interval_of_three_seeds_spans_them():
    row = summary(final("r", {0: 0.5, 1: 0.75, 2: 0.625}), seed_rows("p", "r", ["finished"] * 3)).iloc[0]
    assert row[["seeds", "mean", "ci_low", "ci_high", "diverged"]].tolist() == [3, 62.5, 50, 75, 0]


def test_each_problem_has_its_own_metric_in_its_own_unit_and_direction():
    metrics = pd.concat([final("r", {0: 0.5}), final("r", {0: 8.25}, "images", "test_squared_error")])
    found = summary(metrics, pd.concat([seed_rows(problem, "r", ["finished"]) for problem in ("p", "images")]))
    assert found[["metric", "better", "mean"]].to_numpy().tolist() == [
        ["accuracy (%)", "higher", 50.0],
        ["squared error per image", "lower", 8.25],
    ]


def test_only_the_test_accuracy_at_the_end_counts():
    metrics = pd.concat(
        [
            final("r", {0: 0.5}),
            final("r", {0: 0.9}, metric="test_loss"),
            final("r", {0: 0.1}, scope="evaluation"),
            final("other", {0: 0.2}),
            final("r", {0: 0.3}, problem="q"),
        ]
    )
    assert summary(metrics, seed_rows("p", "r", ["finished"]))["mean"].tolist() == [50]


def test_single_seed_has_a_mean_and_no_interval():
    row = summary(final("r", {0: 0.5}), seed_rows("p", "r", ["finished"])).iloc[0]
    assert row["mean"] == 50
    assert np.isnan(row["ci_low"])
    assert np.isnan(row["ci_high"])


@pytest.mark.parametrize(
    ("statuses", "diverged"),
    [
        (["finished", "diverged", "finished"], 1),
        (["diverged", "finished", "diverged"], 2),
        (["diverged"] * 3, 3),
    ],
)
def test_diverged_seed_takes_the_mean_away_and_is_counted(statuses, diverged):
    accuracies = {seed: 0.9 for seed, status in enumerate(statuses) if status == "finished"}
    metrics = pd.concat([final("r", accuracies), final("other", {0: 0.5})])
    row = summary(metrics, seed_rows("p", "r", statuses)).iloc[0]
    assert (row["seeds"], row["diverged"]) == (3, diverged)
    assert row[["mean", "ci_low", "ci_high"]].isna().all()


def test_diverged_run_leaves_others_alone():
    seeds = pd.concat([seed_rows("p", "bad", ["diverged"]), seed_rows("p", "good", ["finished"])])
    found = summary(final("good", {0: 0.5}), seeds).set_index("run")
    assert found["diverged"].to_dict() == {"bad": 1, "good": 0}
    assert found.loc["good", "mean"] == 50
