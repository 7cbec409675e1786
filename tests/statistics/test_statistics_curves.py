"""Curves are means over all seeds, where there are all seeds."""

import numpy as np
import pandas as pd
import pytest
from statistics_rows import joined, metric_rows, seed_rows

from secondorder.statistics.curves import evaluation_rows, summarise_curves

COLUMNS = ["problem", "run", "metric", "evaluation", "epoch", "step", "gradient_equivalents", "seconds", "seeds"]
COLUMNS += ["mean", "ci_low", "ci_high"]


def curves(parts, seeds, confidence=0.95):
    return summarise_curves(evaluation_rows(*joined(*parts)), seeds, confidence, 999)


def losses(seed, values, run="r", **more):
    return metric_rows("p", run, seed, "training_loss", values, **more)


FINISHED = seed_rows("p", "r", ["finished"] * 3)


def test_columns():
    assert list(curves([losses(0, [1])], FINISHED[:1]).columns) == COLUMNS


def test_mean_of_each_evaluation():
    found = curves([losses(0, [3, 2]), losses(1, [4, 1]), losses(2, [5, 3])], FINISHED)
    assert found["evaluation"].tolist() == [0, 1]
    assert found["mean"].tolist() == [4, 2]
    assert found["seeds"].tolist() == [3, 3]


def test_interval_of_three_seeds_spans_them():
    found = curves([losses(0, [3, 2]), losses(1, [4, 1]), losses(2, [5, 3])], FINISHED)
    assert found["ci_low"].tolist() == [3, 1]
    assert found["ci_high"].tolist() == [5, 3]


def test_positions_are_means_over_the_seeds():
    parts = [losses(0, [3, 2], work=1.0, seconds=2.0), losses(1, [3, 2], work=2.0, seconds=4.0)]
    last = curves(parts, FINISHED[:2]).iloc[-1]
    assert last[["epoch", "step", "gradient_equivalents", "seconds"]].tolist() == [1.5, 10, 30, 3]


@pytest.mark.parametrize(
    ("values", "evaluations"),
    [
        pytest.param([[3, 2, 1], [3, 2, 1]], [0, 1, 2], id="both whole"),
        pytest.param([[3, 2, 1], [3, 2]], [0, 1], id="one ends"),
        pytest.param([[3], [3, 2, 1]], [0], id="one ends at the start"),
        pytest.param([[3, 2, np.nan], [3, 2, 1]], [0, 1], id="one is no number"),
        pytest.param([[3, 2, np.inf], [3, 2, 1]], [0, 1], id="one is infinite"),
        pytest.param([[np.nan, 2], [3, 2]], [1], id="no number at first"),
    ],
)
def test_curve_is_where_all_seeds_are(values, evaluations):
    found = curves([losses(seed, row) for seed, row in enumerate(values)], FINISHED[:2])
    assert found["evaluation"].tolist() == evaluations
    assert np.isfinite(found[["mean", "ci_low", "ci_high", "seconds"]].to_numpy()).all()


def test_positions_leave_out_what_comes_after_the_end():
    parts = [losses(0, [3, 2, 1], work=1.0), losses(1, [3, 2], work=3.0)]
    assert curves(parts, FINISHED[:2])["epoch"].tolist() == [0, 2]


def test_run_with_a_seed_that_left_no_rows_has_no_curve():
    assert curves([losses(0, [3, 2]), losses(1, [3, 2])], FINISHED).empty


def test_run_that_is_no_number_from_the_start_has_no_curve_and_others_keep_theirs():
    seeds = pd.concat([FINISHED[:1], seed_rows("p", "bad", ["diverged"])])
    found = curves([losses(0, [np.nan], run="bad"), losses(0, [3, 2])], seeds)
    assert found["run"].tolist() == ["r", "r"]


def test_no_curve_at_all_is_a_table_without_rows():
    found = curves([losses(0, [np.nan])], FINISHED[:1])
    assert found.empty
    assert list(found.columns) == COLUMNS


def test_single_seed_has_a_mean_and_no_interval():
    found = curves([losses(0, [3, 2])], FINISHED[:1])
    assert found["mean"].tolist() == [3, 2]
    assert found[["ci_low", "ci_high"]].isna().all(axis=None)


def test_metrics_runs_and_problems_are_kept_apart():
    parts = [
        metric_rows("p", "r", 0, "training_loss", [1]),
        metric_rows("p", "r", 0, "validation_accuracy", [0.5]),
        metric_rows("p", "s", 0, "training_loss", [2]),
        metric_rows("q", "r", 0, "training_loss", [3]),
    ]
    seeds = pd.concat([seed_rows(problem, run, ["finished"]) for problem, run in ("pr", "ps", "qr")])
    found = curves(parts, seeds).set_index(["problem", "run", "metric"])["mean"].to_dict()
    assert found == {
        ("p", "r", "training_loss"): 1,
        ("p", "r", "validation_accuracy"): 0.5,
        ("p", "s", "training_loss"): 2,
        ("q", "r", "training_loss"): 3,
    }


def test_rows_of_steps_and_of_the_end_are_no_evaluations():
    metrics, timing = losses(0, [3, 2])
    others = pd.concat([metrics.assign(scope="step"), metrics.assign(scope="final")])
    rows = evaluation_rows(pd.concat([metrics, others]), timing)
    assert len(rows) == 2


def test_seconds_come_from_the_timing_of_the_same_evaluation():
    metrics, timing = losses(0, [3, 2], seconds=2.5)
    steps = timing.assign(scope="step", value=99.0)
    memory = timing.assign(metric="peak_memory_bytes", value=1e9)
    rows = evaluation_rows(metrics, pd.concat([steps, memory, timing]))
    assert rows["seconds"].tolist() == [0, 2.5]


def grid_rows(moments):
    """Evaluation rows of one run, from {seed: {evaluation: (step, value)}}."""
    return pd.DataFrame(
        [
            {
                "problem": "p",
                "run": "r",
                "seed": seed,
                "metric": "training_loss",
                "evaluation": evaluation,
                "epoch": step / 10,
                "step": step,
                "gradient_equivalents": float(step),
                "seconds": step / 100,
                "value": value,
            }
            for seed, made in moments.items()
            for evaluation, (step, value) in made.items()
        ]
    )


def test_seed_that_skips_an_evaluation_stands_where_its_last_one_found_it():
    rows = grid_rows({0: {0: (0, 4.0), 1: (10, 2.0), 2: (20, 1.0)}, 1: {0: (0, 6.0), 2: (24, 3.0)}})
    seeds = pd.DataFrame({"problem": "p", "run": "r", "seed": [0, 1]})
    curve = summarise_curves(rows, seeds, 0.95, 99)
    assert curve["evaluation"].tolist() == [0, 1, 2]
    assert curve["mean"].tolist() == [5.0, 4.0, 2.0]
    assert curve["step"].tolist() == [0.0, 5.0, 22.0]


def test_nothing_is_carried_past_the_end_of_a_seed():
    rows = grid_rows({0: {0: (0, 4.0), 1: (10, 2.0), 2: (20, 1.0)}, 1: {0: (0, 6.0), 1: (10, 5.0)}})
    seeds = pd.DataFrame({"problem": "p", "run": "r", "seed": [0, 1]})
    assert summarise_curves(rows, seeds, 0.95, 99)["evaluation"].tolist() == [0, 1]
