"""Test accuracy at the end of training."""

import numpy as np
import pandas as pd

from secondorder.statistics.intervals import bootstrap_interval


def summarise_accuracy(metrics: pd.DataFrame, seeds: pd.DataFrame, confidence: float, resamples: int) -> pd.DataFrame:
    """Return the mean test accuracy of each run in percent, with its confidence interval.

    A run with a diverged seed has no mean: leaving the seed out would flatter the run, and a diverged network's
    accuracy is no measurement of a trained one.

    Args:
        metrics: Rows of metrics files with ``problem`` and ``run``.
        seeds: One row per problem, run and seed, with ``status``.
        confidence: Level of the intervals.
        resamples: Bootstrap resamples.

    Returns:
        Columns problem, run, seeds, mean, ci_low, ci_high, diverged, one row per problem and run.
    """
    final = metrics[(metrics["scope"] == "final") & (metrics["metric"] == "test_accuracy")]
    rows = []
    for (problem, run), group in seeds.groupby(["problem", "run"], sort=False):
        values = final[(final["problem"] == problem) & (final["run"] == run)]["value"].to_numpy() * 100
        diverged = int((group["status"] == "diverged").sum())
        mean, low, high = np.nan, np.nan, np.nan
        if diverged == 0:
            ends = bootstrap_interval(values, confidence, resamples)
            mean, low, high = values.mean(), *(float(end) for end in ends)
        rows.append(
            {
                "problem": problem,
                "run": run,
                "seeds": len(group),
                "mean": mean,
                "ci_low": low,
                "ci_high": high,
                "diverged": diverged,
            }
        )
    return pd.DataFrame(rows)
