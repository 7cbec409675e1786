"""Time to target: how much a run spends before its validation metric first reaches the problem's target."""

from collections.abc import Mapping

import pandas as pd

from secondorder.metric import MetricDescription
from secondorder.statistics.curves import POSITIONS


def summarise_time_to_target(
    rows: pd.DataFrame,
    seeds: pd.DataFrame,
    described: Mapping[str, MetricDescription],
    targets: Mapping[str, float],
) -> pd.DataFrame:
    """Return the median over seeds of what is spent until the target, with the smallest and the largest.

    A seed that misses the target counts as infinite, so a median is infinite when half of the seeds or more miss it
    (the convention of AlgoPerf's scoring). The resolution is an epoch's worth of work, after which the validation
    metric is measured.

    Args:
        rows: From :func:`~secondorder.statistics.curves.evaluation_rows`.
        seeds: One row per problem, run and seed.
        described: The metric by problem.
        targets: Target value of the validation metric by problem.

    Returns:
        Columns problem, run, metric (with its unit), better (``higher`` or ``lower``), target (as shown), seeds,
        reached, and for each of epoch, step, gradient_equivalents and seconds the median under that name and ``_min``
        and ``_max``.
    """
    rows = rows.sort_values("evaluation")
    summaries = []
    for (problem, run), group in seeds.groupby(["problem", "run"], sort=False):
        metric, target = described[str(problem)], targets[str(problem)]
        chosen = (rows["problem"] == problem) & (rows["run"] == run)
        measured = rows[chosen & (rows["metric"] == f"validation_{metric.name}")]
        first = measured[metric.reached(measured["value"], target)].groupby("seed")[list(POSITIONS)].first()
        spent = first.reindex(group["seed"]).astype(float)
        hits = int(spent["epoch"].notna().sum())
        spent = spent.fillna(float("inf"))
        summary = {
            "problem": problem,
            "run": run,
            "metric": metric.title,
            "better": metric.better,
            "target": target * metric.factor,
            "seeds": len(group),
            "reached": hits,
        }
        for position in POSITIONS:
            summary[position] = spent[position].median()
            summary[f"{position}_min"] = spent[position].min()
            summary[f"{position}_max"] = spent[position].max()
        summaries.append(summary)
    return pd.DataFrame(summaries)
