"""What a step costs, from clocks and memory written by hand."""

import math

import pandas as pd
import pytest
from statistics_rows import seed_rows

from secondorder.statistics.step_cost import relative_cost, summarise_step_cost


def clock(seed, readings, memory=(), run="r"):
    """The timing of one seed: (step, seconds since the start) of each reading, two gradient-equivalents a step."""
    steps = [("step", "seconds", step, seconds) for step, seconds in readings]
    steps += [("evaluation", "seconds", readings[-1][0], 99.0)] if readings else []
    steps += [("evaluation", "peak_memory_bytes", 0, peak) for peak in memory]
    return pd.DataFrame(
        [
            {
                "problem": "p",
                "run": run,
                "seed": seed,
                "scope": scope,
                "metric": metric,
                "step": step,
                "gradient_equivalents": 2.0 * step,
                "value": value,
            }
            for scope, metric, step, value in steps
        ]
    )


def cost(*clocks):
    return summarise_step_cost(pd.concat(clocks), seed_rows("p", "r", ["finished"] * len(clocks))).iloc[0]


@pytest.mark.parametrize(
    ("readings", "seconds"),
    [
        pytest.param([(1, 0.5), (2, 1.0), (3, 1.5)], 0.5, id="even"),
        pytest.param([(1, 9.0), (2, 9.5), (3, 10.0)], 0.5, id="a slow start has no weight"),
        pytest.param([(10, 5.0), (20, 10.0), (23, 11.5)], 0.5, id="clock read every tenth step"),
    ],
)
def test_seconds_are_the_median_over_the_steps_of_a_seed(readings, seconds):
    assert cost(clock(0, readings))["seconds"] == pytest.approx(seconds)


def test_summary_is_the_median_over_seeds_with_its_range():
    row = cost(
        *(clock(seed, [(1, each), (2, 2 * each)], [each, 10 * each]) for seed, each in enumerate([1.0, 4.0, 2.0]))
    )
    assert row[["seconds", "seconds_min", "seconds_max"]].tolist() == [2, 1, 4]
    assert row[["peak_memory_bytes", "peak_memory_bytes_min", "peak_memory_bytes_max"]].tolist() == [20, 10, 40]
    assert (row["gradient_equivalents"], row["steps"], row["seeds"]) == (2, 6, 3)


def test_seed_without_a_step_has_no_cost():
    row = summarise_step_cost(clock(0, [(1, 1.0)], run="other"), seed_rows("p", "r", ["diverged"])).iloc[0]
    assert (row["steps"], math.isnan(row["seconds"])) == (0, True)


def test_costs_are_relative_to_the_reference_on_the_same_problem():
    columns = {"gradient_equivalents": 1.0, "peak_memory_bytes": 8.0}
    costs = pd.DataFrame(
        [
            {"problem": problem, "run": run, "seconds": seconds, **columns}
            for problem, run, seconds in [("p", "sgd", 2.0), ("p", "adam", 6.0), ("q", "sgd", 3.0), ("q", "adam", 6.0)]
        ]
        + [{"problem": "alone", "run": "adam", "seconds": 1.0, **columns}]
    )
    ratios = relative_cost(costs, "sgd").set_index(["problem", "run"])["times_seconds"]
    assert ratios.iloc[:4].tolist() == [1, 3, 1, 2]
    assert math.isnan(ratios["alone", "adam"])
