"""Updates to a training loss: the bracket of the first crossing, and what counts as never."""

import math

import pandas as pd
import pytest
from statistics_rows import joined, metric_rows, seed_rows

from secondorder.presentation import Context
from secondorder.statistics.curves import evaluation_rows
from secondorder.statistics.updates_to_loss import summarise_updates_to_loss
from secondorder.tables.updates_to_loss import build, with_ratios

PROBLEM = "mnist_mlp"


def summarised(losses_by_run, target=0.5):
    """The summary of runs with one list of losses per seed; the rows lie ten updates apart."""
    parts = [
        metric_rows(PROBLEM, run, seed, "training_loss", losses)
        for run, seeds in losses_by_run.items()
        for seed, losses in enumerate(seeds)
    ]
    seeds = pd.concat([seed_rows(PROBLEM, run, ["finished"] * len(given)) for run, given in losses_by_run.items()])
    return summarise_updates_to_loss(evaluation_rows(*joined(*parts)), seeds, {PROBLEM: target})


CROSSINGS = {
    "between two evaluations": ([[2.0, 0.9, 0.4, 0.1]], 10, 20),
    "exactly at the target": ([[2.0, 0.5]], 0, 10),
    "before the first step": ([[0.3, 0.2]], 0, 0),
    "and above again later": ([[2.0, 0.4, 0.9, 0.1]], 0, 10),
    "never": ([[2.0, 0.9, 0.8]], math.inf, math.inf),
    "the median of three seeds": ([[2.0, 0.4], [2.0, 0.9, 0.4], [2.0, 0.9, 0.9, 0.4]], 10, 20),
    "never, where half of the seeds miss it": ([[2.0, 0.4], [2.0, 0.9]], math.inf, math.inf),
}


@pytest.mark.parametrize(("losses", "fewest", "updates"), CROSSINGS.values(), ids=CROSSINGS)
def test_the_crossing_lies_between_two_evaluations(losses, fewest, updates):
    row = summarised({"sgd": losses}).iloc[0]
    assert (row["fewest"], row["updates"]) == (fewest, updates)


def test_a_loss_that_is_not_a_number_reaches_nothing():
    assert summarised({"sgd": [[2.0, math.nan]]})["reached"].tolist() == [0]


def test_a_problem_without_a_target_has_no_rows():
    metrics, timing = metric_rows(PROBLEM, "sgd", 0, "training_loss", [2.0, 0.1])
    rows = evaluation_rows(metrics, timing)
    assert summarise_updates_to_loss(rows, seed_rows(PROBLEM, "sgd", ["finished"]), {}).empty


def test_ratios_span_what_the_evaluations_leave_open():
    slow, fast = [2.0, 0.9, 0.9, 0.9, 0.9, 0.4], [2.0, 0.9, 0.4]
    rows = with_ratios(summarised({"sgd": [slow], "newton": [fast]}), "sgd").set_index("run")
    assert rows.loc["newton", "times_fewer_at_least"] == 40 / 20
    assert rows.loc["newton", "times_fewer_at_most"] == 50 / 10


@pytest.mark.parametrize("missing", ["sgd", "newton"])
def test_a_run_that_misses_the_target_has_no_ratio(missing):
    losses = {"sgd": [[2.0, 0.9, 0.4]], "newton": [[2.0, 0.9, 0.4]]}
    losses[missing] = [[2.0, 0.9, 0.9]]
    rows = with_ratios(summarised(losses), "sgd").set_index("run")
    assert math.isnan(rows.loc["newton", "times_fewer_at_least"])


VERDICTS = {
    "reached": (
        [2.0, 0.9, 0.9, 0.9, 0.9, 0.9, 0.4],
        [2.0, 0.4],
        "at least 5 times fewer updates than SGD: 4 times is reached",
    ),
    "not reached": (
        [2.0, 0.9, 0.9, 0.4],
        [2.0, 0.4],
        "at least 2 times fewer updates than SGD: 4 times is not reached",
    ),
    "missed": ([2.0, 0.4], [2.0, 0.9], "no run of exact Newton reaches the target where SGD does"),
}


@pytest.mark.parametrize(("slow", "fast", "sentence"), VERDICTS.values(), ids=VERDICTS)
def test_the_caption_says_whether_exact_newton_takes_four_times_fewer(slow, fast, sentence):
    updates = summarised({"sgd": [slow], "gauss": [fast]})
    seeds = pd.DataFrame({"data_verified": [True]})
    context = Context(
        {"sgd": "SGD", "gauss": "Exact"}, {}, 0.95, exclusive=True, optimizers={"sgd": "sgd", "gauss": "exact_newton"}
    )
    assert sentence in build({"updates_to_loss": updates, "seeds": seeds}, context).caption


@pytest.mark.parametrize(("epochs", "verdict"), [(12, "is reached"), (9, "is not reached")])
def test_newton_krylov_is_measured_by_one_order(epochs, verdict):
    updates = summarised({"sgd": [[2.0, *[0.9] * epochs, 0.4]], "krylov": [[2.0, 0.4]]})
    context = Context(
        {"sgd": "SGD", "krylov": "Newton-Krylov"}, {}, 0.95, exclusive=True, optimizers={"krylov": "newton_krylov"}
    )
    caption = build({"updates_to_loss": updates, "seeds": pd.DataFrame({"data_verified": [True]})}, context).caption
    assert f"10 times {verdict}" in caption
