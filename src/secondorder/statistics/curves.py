"""Training curves: the mean over seeds of each metric at each evaluation."""

from typing import Any

import numpy as np
import pandas as pd

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
    summaries = []
    for (problem, run, metric), group in rows.groupby(["problem", "run", "metric"], sort=False):
        count = ((seeds["problem"] == problem) & (seeds["run"] == run)).sum()
        values = on_common_grid(group, "value")
        values = values.loc[:, np.isfinite(values.to_numpy()).all(axis=0)]
        if len(values) < count or values.empty:
            continue
        low, high = bootstrap_interval(values.to_numpy(), confidence, resamples)
        summary: dict[str, Any] = {"problem": problem, "run": run, "metric": metric, "evaluation": values.columns}
        for position in POSITIONS:
            summary[position] = on_common_grid(group, position)[values.columns].mean().to_numpy()
        summary |= {"seeds": count, "mean": values.mean().to_numpy(), "ci_low": low, "ci_high": high}
        summaries.append(pd.DataFrame(summary))
    columns = ["problem", "run", "metric", "evaluation", *POSITIONS, "seeds", "mean", "ci_low", "ci_high"]
    return pd.concat(summaries, ignore_index=True)[columns] if summaries else pd.DataFrame(columns=columns)


def on_common_grid(rows: pd.DataFrame, column: str) -> pd.DataFrame:
    """Return one row per seed and one column per evaluation that any seed made, filled from the seed's last one.

    What lies after a seed's own end is missing.

    Args:
        rows: Evaluation rows of one metric of one run.
        column: What to take from them.
    """
    table = rows.pivot_table(index="seed", columns="evaluation", values=column, sort=True, dropna=False)
    made = rows.pivot_table(index="seed", columns="evaluation", values="step", sort=True, dropna=False).notna()
    filled = table.where(~made, table.fillna(np.inf)).ffill(axis="columns")
    return filled.where(made.iloc[:, ::-1].cummax(axis="columns").iloc[:, ::-1])
