"""Training curves: the mean over seeds of each metric at each evaluation."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from secondorder.statistics.intervals import bootstrap_interval

POSITIONS = ("epoch", "step", "gradient_equivalents", "seconds")
"""What a curve can be drawn against."""


def evaluation_rows(metrics: pd.DataFrame, timing: pd.DataFrame) -> pd.DataFrame:
    """Return the rows taken at evaluations, with the seconds of training until then.

    Args:
        metrics: Rows of metrics files with ``problem`` and ``run``.
        timing: Rows of timing files with ``problem`` and ``run``.
    """
    moment = ["problem", "run", "seed", "evaluation"]
    seconds = timing[(timing["scope"] == "evaluation") & (timing["metric"] == "seconds")]
    seconds = seconds[[*moment, "value"]].rename(columns={"value": "seconds"})
    rows = metrics[metrics["scope"] == "evaluation"]
    return rows.merge(seconds, on=moment, how="left", validate="many_to_one")


def summarise_curves(rows: pd.DataFrame, seeds: pd.DataFrame, confidence: float, resamples: int) -> pd.DataFrame:
    """Return the mean and its confidence interval of each metric after each epoch's worth of work.

    A seed that skips one, because a single step did more work than that, stands where its last evaluation found it.
    A curve ends where the first of its seeds ends by divergence: a mean over the seeds that are left would be a mean
    over a selection.

    Args:
        rows: From :func:`evaluation_rows`.
        seeds: One row per problem, run and seed.
        confidence: Level of the intervals.
        resamples: Bootstrap resamples.

    Returns:
        Columns problem, run, metric, evaluation, epoch, step, gradient_equivalents, seconds (these four means over
        seeds), seeds, mean, ci_low, ci_high.
    """
    count_of = seeds.groupby(["problem", "run"], sort=False).size().to_dict()
    summaries = []
    for (problem, run, metric), group in rows.groupby(["problem", "run", "metric"], sort=False):
        count = count_of.get((problem, run), 0)
        evaluations, grids = on_common_grid(group, ("value", *POSITIONS))
        common = np.isfinite(grids["value"]).all(axis=0)
        if len(grids["value"]) < count or not common.any():
            continue
        values = grids["value"][:, common]
        low, high = bootstrap_interval(values, confidence, resamples)
        summary: dict[str, Any] = {"problem": problem, "run": run, "metric": metric, "evaluation": evaluations[common]}
        summary |= {position: grids[position][:, common].mean(axis=0) for position in POSITIONS}
        summary |= {"seeds": count, "mean": values.mean(axis=0), "ci_low": low, "ci_high": high}
        summaries.append(pd.DataFrame(summary))
    columns = ["problem", "run", "metric", "evaluation", *POSITIONS, "seeds", "mean", "ci_low", "ci_high"]
    return pd.concat(summaries, ignore_index=True)[columns] if summaries else pd.DataFrame(columns=columns)


def on_common_grid(
    rows: pd.DataFrame, columns: Sequence[str]
) -> tuple[NDArray[np.int64], dict[str, NDArray[np.float64]]]:
    """Return every evaluation that any seed made, and by column what each seed had then, from its last one.

    What lies after a seed's own end is missing.

    Args:
        rows: Evaluation rows of one metric of one run.
        columns: What to take from them.

    Returns:
        The evaluations, ascending, and for each column an array of shape [seeds, evaluations].
    """
    evaluations, column_of = np.unique(rows["evaluation"].to_numpy(np.int64), return_inverse=True)
    found, row_of = np.unique(rows["seed"].to_numpy(), return_inverse=True)
    made = np.full((len(found), len(evaluations)), -1)
    made[row_of, column_of] = column_of
    latest = np.maximum.accumulate(made, axis=1)
    missing = (latest < 0) | (np.arange(len(evaluations)) > made.max(axis=1, keepdims=True))
    grids = {}
    for column in columns:
        own = np.full(made.shape, np.nan)
        own[row_of, column_of] = rows[column].to_numpy(np.float64)
        grids[column] = np.where(missing, np.nan, np.take_along_axis(own, latest, axis=1))
    return evaluations, grids
