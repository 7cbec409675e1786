"""What each seed of each run came to: the rows that runs are compared by, seed by seed."""

from collections.abc import Mapping

import pandas as pd

from secondorder.metric import MetricDescription
from secondorder.statistics.collection import CollectedRuns
from secondorder.statistics.curves import POSITIONS
from secondorder.statistics.step_cost import costs_of_seeds

_RUN_AND_SEED = ["run", "seed"]
_COSTS = ("seconds", "gradient_equivalents")


def outcomes_of_seeds(
    rows: pd.DataFrame,
    runs: CollectedRuns,
    described: Mapping[str, MetricDescription],
    targets: Mapping[str, float],
    loss_targets: Mapping[str, float],
) -> pd.DataFrame:
    """Return what each seed came to. Of every number less is better.

    Args:
        rows: From :func:`~secondorder.statistics.curves.evaluation_rows`.
        runs: The runs that they are of.
        described: The metric by problem.
        targets: Target value of the validation metric by problem.
        loss_targets: Target training loss by problem, of those that have one.

    Returns:
        Columns problem, run, seed, status, data_verified, metric (what the errors are of, with its unit); at the end of
        training training_loss, validation_loss, validation_error and test_error, how far the metric is from a perfect
        network's, as shown, NaN for a diverged seed; each of epoch, step, gradient_equivalents and seconds
        with ``_to_target`` and ``_to_loss``, what was spent when the validation metric or the training loss first
        reached its target, infinite for a miss and NaN where the problem has no such target; and of one step
        step_seconds and step_gradient_equivalents.
    """
    costs = costs_of_seeds(runs.timing, runs.seeds)[["problem", *_RUN_AND_SEED, *_COSTS]]
    costs = costs.rename(columns={name: f"step_{name}" for name in _COSTS})
    outcomes = []
    for problem, seeds in runs.seeds.groupby("problem", sort=False):
        metric = described[str(problem)]
        measured = rows[rows["problem"] == problem].sort_values("evaluation")
        final = runs.metrics[(runs.metrics["problem"] == problem) & (runs.metrics["scope"] == "final")]
        names = seeds[["problem", *_RUN_AND_SEED, "status", "data_verified"]].assign(metric=metric.title)
        validation = f"validation_{metric.name}"
        reached = metric.reached(measured["value"], targets[str(problem)])
        # Nothing reaches a target that is no number.
        fell = measured["value"] <= loss_targets.get(str(problem), float("nan"))
        missed = float("inf") if problem in loss_targets else float("nan")
        parts = [
            _ends(measured, final, metric).where(seeds.set_index(_RUN_AND_SEED)["status"] == "finished"),
            _spent(measured[reached & (measured["metric"] == validation)], seeds, "target", missed=float("inf")),
            _spent(measured[fell & (measured["metric"] == "training_loss")], seeds, "loss", missed=missed),
        ]
        outcomes.append(names.join(pd.concat(parts, axis="columns"), on=_RUN_AND_SEED))
    together = pd.concat(outcomes, ignore_index=True)
    return together.merge(costs, on=["problem", *_RUN_AND_SEED], validate="one_to_one")


def _ends(measured: pd.DataFrame, final: pd.DataFrame, metric: MetricDescription) -> pd.DataFrame:
    """Return what each seed has at the end of training, by run and seed."""
    last = measured.pivot_table(index=_RUN_AND_SEED, columns="metric", values="value", aggfunc="last")
    tested = final[final["metric"] == f"test_{metric.name}"].set_index(_RUN_AND_SEED)["value"]
    last = last.reindex(columns=["training_loss", "validation_loss", f"validation_{metric.name}"])
    return last[["training_loss", "validation_loss"]].assign(
        validation_error=metric.error(last[f"validation_{metric.name}"]), test_error=metric.error(tested)
    )


def _spent(reached: pd.DataFrame, seeds: pd.DataFrame, target: str, missed: float) -> pd.DataFrame:
    """Return what each seed had spent at the first of these evaluations, by run and seed.

    Args:
        reached: Evaluations at which the target was reached.
        seeds: All seeds.
        target: The name of the target.
        missed: What a seed without such an evaluation has spent.
    """
    first = reached.groupby(_RUN_AND_SEED)[list(POSITIONS)].first()
    every = pd.MultiIndex.from_frame(seeds[_RUN_AND_SEED])
    return first.astype(float).reindex(every).fillna(missed).add_suffix(f"_to_{target}")
