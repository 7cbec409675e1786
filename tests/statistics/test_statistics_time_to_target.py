"""Time to target: the first crossing, and infinite for a seed that has none."""

import math

import pandas as pd
import pytest
from statistics_rows import joined, metric_rows, seed_rows

from secondorder.problems.metrics import ACCURACY, SQUARED_RECONSTRUCTION_ERROR
from secondorder.statistics.curves import evaluation_rows
from secondorder.statistics.time_to_target import summarise_time_to_target

INF = math.inf
ACCURACIES = {"p": ACCURACY, "q": ACCURACY}
SPLITS = {"training": 0.95, "validation": 0.1, "test": 0.95}


def times(accuracies, target=0.9, **more):
    """The summary of one run, from the accuracies of each seed."""
    parts = [metric_rows("p", "r", seed, "validation_accuracy", row, **more) for seed, row in enumerate(accuracies)]
    seeds = seed_rows("p", "r", ["finished"] * len(accuracies))
    return summarise_time_to_target(evaluation_rows(*joined(*parts)), seeds, ACCURACIES, {"p": target}).iloc[0]


@pytest.mark.parametrize(
    ("accuracies", "epoch"),
    [
        pytest.param([0.1, 0.5, 0.95], 2, id="at the end"),
        pytest.param([0.1, 0.91, 0.95], 1, id="before the end"),
        pytest.param([0.1, 0.9, 0.95], 1, id="exactly the target"),
        pytest.param([0.1, 0.91, 0.5], 1, id="falls back"),
        pytest.param([0.1, 0.91, 0.5, 0.92], 1, id="falls back and returns"),
        pytest.param([0.95, 0.1], 0, id="before the first step"),
        pytest.param([0.1, 0.8999], INF, id="never"),
        pytest.param([0.1, math.nan], INF, id="no number"),
        pytest.param([math.nan, 0.95], 1, id="a number after none"),
    ],
)
def test_first_crossing_of_one_seed(accuracies, epoch):
    row = times([accuracies])
    assert row["epoch"] == row["epoch_min"] == row["epoch_max"] == epoch
    assert row["reached"] == (epoch < INF)


def test_every_position_is_that_of_the_first_crossing():
    row = times([[0.1, 0.5, 0.95, 0.99]], work=1.5, seconds=0.25)
    positions = row[["epoch", "step", "gradient_equivalents", "seconds"]].tolist()
    assert positions == [3, 20, 60, 0.5]


def after(epochs, length=6):
    """Accuracies that reach the target after so many evaluations, or never."""
    return [0.95 if evaluation >= epochs else 0.1 for evaluation in range(length)]


@pytest.mark.parametrize(
    ("epochs", "median", "smallest", "largest", "reached"),
    [
        pytest.param([3, 1, 2], 2, 1, 3, 3, id="odd"),
        pytest.param([4, 1, 2, 3], 2.5, 1, 4, 4, id="even"),
        pytest.param([3, INF, 1], 3, 1, INF, 2, id="one of three misses"),
        pytest.param([INF, 1, INF], INF, 1, INF, 1, id="two of three miss"),
        pytest.param([1, INF], INF, 1, INF, 1, id="one of two misses"),
        pytest.param([1, 2, INF, INF], INF, 1, INF, 2, id="half of four miss"),
        pytest.param([1, 2, 4, INF], 3, 1, INF, 3, id="one of four misses"),
        pytest.param([INF, INF, INF, INF], INF, INF, INF, 0, id="all miss"),
    ],
)
def test_median_over_seeds(epochs, median, smallest, largest, reached):
    row = times([after(count) for count in epochs])
    assert (row["epoch"], row["epoch_min"], row["epoch_max"]) == (median, smallest, largest)
    assert (row["seeds"], row["reached"]) == (len(epochs), reached)


def test_target_is_shown_in_percent():
    assert times([[0.5]], target=0.75)["target"] == 75


def test_other_metrics_do_not_reach_the_target():
    parts = [metric_rows("p", "r", 0, f"{split}_accuracy", [value]) for split, value in SPLITS.items()]
    found = summarise_time_to_target(
        evaluation_rows(*joined(*parts)), seed_rows("p", "r", ["finished"]), ACCURACIES, {"p": 0.9}
    )
    assert found["reached"].tolist() == [0]


@pytest.mark.parametrize(
    ("errors", "epoch"),
    [
        pytest.param([90.0, 20.0, 9.0, 30.0], 2, id="below the target"),
        pytest.param([90.0, 10.0, 9.0], 1, id="exactly the target"),
        pytest.param([90.0, 10.5], INF, id="never"),
        pytest.param([9.0, 90.0], 0, id="above the target later"),
    ],
)
def test_metric_that_is_better_when_lower_is_reached_from_above(errors, epoch):
    rows = evaluation_rows(*metric_rows("p", "r", 0, "validation_squared_error", errors))
    metrics = {"p": SQUARED_RECONSTRUCTION_ERROR}
    row = summarise_time_to_target(rows, seed_rows("p", "r", ["finished"]), metrics, {"p": 10.0}).iloc[0]
    assert (row["epoch"], row["target"], row["better"]) == (epoch, 10.0, "lower")


def test_each_problem_has_its_own_target():
    parts = [metric_rows(problem, "r", 0, "validation_accuracy", [0.1, 0.6, 0.95]) for problem in "pq"]
    seeds = pd.concat([seed_rows(problem, "r", ["finished"]) for problem in "pq"])
    found = summarise_time_to_target(evaluation_rows(*joined(*parts)), seeds, ACCURACIES, {"p": 0.5, "q": 0.9})
    assert found["epoch"].tolist() == [1, 2]


def test_run_without_any_evaluation_of_one_seed_counts_it_as_a_miss():
    part = metric_rows("p", "r", 0, "validation_accuracy", [0.1, 0.95])
    found = summarise_time_to_target(
        evaluation_rows(*part), seed_rows("p", "r", ["finished", "diverged"]), ACCURACIES, {"p": 0.9}
    )
    assert found[["seeds", "reached", "epoch", "epoch_min"]].to_numpy().tolist() == [[2, 1, INF, 1]]


def test_columns():
    ends = [
        f"{name}{end}" for name in ("epoch", "step", "gradient_equivalents", "seconds") for end in ("", "_min", "_max")
    ]
    names = ["problem", "run", "metric", "better", "target", "seeds", "reached"]
    assert list(times([[0.5]]).index) == [*names, *ends]
