"""What each seed came to, from rows written by hand."""

import math

import pandas as pd
import pytest
from statistics_rows import metric_rows, seed_rows

from secondorder.metric import MetricDescription
from secondorder.statistics.collection import CollectedRuns
from secondorder.statistics.curves import evaluation_rows
from secondorder.statistics.outcomes import outcomes_of_seeds

ACCURACY = MetricDescription(
    name="accuracy", label="accuracy", error_label="error", higher_is_better=True, high=1.0, factor=100.0, unit="%"
)
SQUARES = MetricDescription(name="squares", label="squared error", error_label="squared error", higher_is_better=False)


def collected(status="finished", metric=ACCURACY, **values):
    """One seed with a list of values per metric, and its test metric."""
    test = values.pop("test", None)
    parts = [metric_rows("mnist", "sgd", 0, name, listed) for name, listed in values.items()]
    metrics = pd.concat([rows for rows, _ in parts], ignore_index=True)
    timing = parts[0][1]
    steps = timing.assign(scope="step")[timing["step"] > 0]
    if test is not None:
        final = {"problem": "mnist", "run": "sgd", "seed": 0, "scope": "final", "metric": f"test_{metric.name}"}
        metrics = pd.concat([metrics, pd.DataFrame([{**final, "value": test}])], ignore_index=True)
    seeds = seed_rows("mnist", "sgd", [status]).assign(data_verified=True)
    return CollectedRuns(metrics, pd.concat([timing, steps], ignore_index=True), seeds)


def outcome(runs, metric=ACCURACY, target=0.8, loss_target=0.5):
    losses = {} if loss_target is None else {"mnist": loss_target}
    rows = evaluation_rows(runs.metrics, runs.timing)
    return outcomes_of_seeds(rows, runs, {"mnist": metric}, {"mnist": target}, losses).iloc[0]


LEARNS = {"validation_accuracy": [0.1, 0.7, 0.85, 0.9], "training_loss": [2.0, 0.6, 0.5, 0.2], "test": 0.88}


def test_ends_are_errors_as_they_are_shown():
    row = outcome(collected(**LEARNS))
    assert row["validation_error"] == pytest.approx(10)
    assert row["test_error"] == pytest.approx(12)
    assert row["training_loss"] == 0.2
    assert row["metric"] == "accuracy (%)"


def test_what_was_spent_is_that_of_the_first_evaluation_at_the_target():
    row = outcome(collected(**LEARNS))
    assert row[["epoch_to_target", "step_to_target", "seconds_to_target"]].tolist() == [2, 20, 2]
    assert row[["epoch_to_loss", "step_to_loss", "gradient_equivalents_to_loss"]].tolist() == [2, 20, 40]


def test_a_target_that_is_missed_takes_infinitely_long():
    row = outcome(collected(**LEARNS), target=0.95, loss_target=0.1)
    assert row[["step_to_target", "seconds_to_target", "step_to_loss", "seconds_to_loss"]].tolist() == [math.inf] * 4


def test_without_a_target_loss_nothing_is_spent_on_it():
    row = outcome(collected(**LEARNS), loss_target=None)
    assert math.isnan(row["step_to_loss"])
    assert row["step_to_target"] == 20


def test_a_diverged_seed_has_no_end_and_is_there():
    row = outcome(collected(status="diverged", **LEARNS), target=0.95)
    assert row["status"] == "diverged"
    assert row[["training_loss", "validation_error", "test_error"]].isna().all()
    assert row["step_to_target"] == math.inf


def test_where_lower_is_better_the_metric_is_the_error():
    runs = collected(metric=SQUARES, validation_squares=[9.0, 4.0], training_loss=[2.0, 1.0], test=5.0)
    row = outcome(runs, SQUARES, target=4.0)
    assert (row["test_error"], row["validation_error"], row["step_to_target"]) == (5.0, 4.0, 10)


def test_cost_of_a_step_is_that_of_its_clock():
    row = outcome(collected(**LEARNS))
    assert row["step_seconds"] == pytest.approx(0.1)
    assert row["step_gradient_equivalents"] == pytest.approx(2.0)
