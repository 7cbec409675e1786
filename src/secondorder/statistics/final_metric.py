"""Each problem's metric on the test images at the end of training."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from secondorder.metric import MetricDescription
from secondorder.statistics.intervals import bootstrap_interval


def summarise_final_metric(
    metrics: pd.DataFrame,
    seeds: pd.DataFrame,
    described: Mapping[str, MetricDescription],
    confidence: float,
    resamples: int,
) -> pd.DataFrame:
    """Return the mean test metric of each run, as it is shown (accuracy in percent), with its confidence interval.

    A run with a diverged seed has no mean: leaving the seed out would flatter the run, and a diverged network's
    metric is no measurement of a trained one.

    Args:
        metrics: Rows of metrics files with ``problem`` and ``run``.
        seeds: One row per problem, run and seed, with ``status``.
        described: The metric by problem.
        confidence: Level of the intervals.
        resamples: Bootstrap resamples.

    Returns:
        Columns problem, run, metric (with its unit), better (``higher`` or ``lower``), seeds, mean, ci_low, ci_high,
        diverged, one row per problem and run.
    """
    final = metrics[metrics["scope"] == "final"]
    rows = []
    for (problem, run), group in seeds.groupby(["problem", "run"], sort=False):
        metric = described[str(problem)]
        chosen = (final["problem"] == problem) & (final["run"] == run) & (final["metric"] == f"test_{metric.name}")
        values = final[chosen]["value"].to_numpy() * metric.factor
        diverged = int((group["status"] == "diverged").sum())
        mean, low, high = np.nan, np.nan, np.nan
        if diverged == 0:
            ends = bootstrap_interval(values, confidence, resamples)
            mean, low, high = values.mean(), *(float(end) for end in ends)
        rows.append(
            {
                "problem": problem,
                "run": run,
                "metric": metric.title,
                "better": metric.better,
                "seeds": len(group),
                "mean": mean,
                "ci_low": low,
                "ci_high": high,
                "diverged": diverged,
            }
        )
    return pd.DataFrame(rows)
