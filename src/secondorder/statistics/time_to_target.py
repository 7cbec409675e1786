"""Time to target: how much a run spends before its validation accuracy first reaches the problem's target."""

from collections.abc import Mapping

import pandas as pd

from secondorder.statistics.curves import POSITIONS


def summarise_time_to_target(rows: pd.DataFrame, seeds: pd.DataFrame, targets: Mapping[str, float]) -> pd.DataFrame:
    """Return the median over seeds of what is spent until the target, with the smallest and the largest.

    A seed that misses the target counts as infinite, so a median is infinite when half of the seeds or more miss it
    (the convention of AlgoPerf's scoring). The resolution is an epoch's worth of work, after which the validation
    accuracy is measured.

    Args:
        rows: From :func:`~secondorder.statistics.curves.evaluation_rows`.
        seeds: One row per problem, run and seed.
        targets: Target validation accuracy, a share, by problem.

    Returns:
        Columns problem, run, target (percent), seeds, reached, and for each of epoch, step, gradient_equivalents and
        seconds the median under that name and ``_min`` and ``_max``.
    """
    accuracy = rows[rows["metric"] == "validation_accuracy"].sort_values("evaluation")
    reached = accuracy[accuracy["value"] >= accuracy["problem"].map(targets)]
    first = reached.groupby(["problem", "run", "seed"], sort=False)[list(POSITIONS)].first()
    summaries = []
    for (problem, run), group in seeds.groupby(["problem", "run"], sort=False):
        spent = first.reindex([(problem, run, seed) for seed in group["seed"]]).astype(float)
        hits = int(spent["epoch"].notna().sum())
        spent = spent.fillna(float("inf"))
        summary = {
            "problem": problem,
            "run": run,
            "target": targets[str(problem)] * 100,
            "seeds": len(group),
            "reached": hits,
        }
        for position in POSITIONS:
            summary[position] = spent[position].median()
            summary[f"{position}_min"] = spent[position].min()
            summary[f"{position}_max"] = spent[position].max()
        summaries.append(summary)
    return pd.DataFrame(summaries)
