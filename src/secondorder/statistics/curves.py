"""Training curves: the mean over seeds of each metric at each epoch."""

import pandas as pd

from secondorder.statistics.intervals import bootstrap_interval

POSITIONS = ("epoch", "step", "gradient_equivalents", "seconds")
"""What a curve can be drawn against."""


def epoch_rows(metrics: pd.DataFrame, timing: pd.DataFrame) -> pd.DataFrame:
    """Return the rows taken after epochs, with the seconds of training until then.

    Args:
        metrics: Rows of metrics files with ``problem`` and ``run``.
        timing: Rows of timing files with ``problem`` and ``run``.
    """
    moment = ["problem", "run", "seed", "epoch"]
    seconds = timing[(timing["scope"] == "epoch") & (timing["metric"] == "seconds")]
    seconds = seconds[[*moment, "value"]].rename(columns={"value": "seconds"})
    return metrics[metrics["scope"] == "epoch"].merge(seconds, on=moment, how="left", validate="many_to_one")


def summarise_curves(rows: pd.DataFrame, seeds: pd.DataFrame, confidence: float, resamples: int) -> pd.DataFrame:
    """Return the mean and its confidence interval of each metric at each epoch that every seed completed.

    A curve ends where the first of its seeds ends (by divergence, or by a budget that is spent in fewer epochs): a
    mean over the seeds that are left would be a mean over a selection.

    Args:
        rows: From :func:`epoch_rows`.
        seeds: One row per problem, run and seed.
        confidence: Level of the intervals.
        resamples: Bootstrap resamples.

    Returns:
        Columns problem, run, metric, epoch, step, gradient_equivalents, seconds (the last three means over seeds), seeds,
        mean, ci_low, ci_high.
    """
    counts = seeds.groupby(["problem", "run"], sort=False)["seed"].nunique()
    summaries = []
    for (problem, run, metric), group in rows.groupby(["problem", "run", "metric"], sort=False):
        count = counts[problem, run]
        values = group.pivot_table(index="seed", columns="epoch", values="value", sort=True).dropna(axis="columns")
        if len(values) < count:
            continue
        low, high = bootstrap_interval(values.to_numpy(), confidence, resamples)
        kept = group[group["epoch"].isin(values.columns)]
        positions = kept.groupby("epoch")[["step", "gradient_equivalents", "seconds"]].mean().reset_index()
        means = {"seeds": count, "mean": values.mean().to_numpy(), "ci_low": low, "ci_high": high}
        summaries.append(positions.assign(problem=problem, run=run, metric=metric, **means))
    columns = ["problem", "run", "metric", *POSITIONS, "seeds", "mean", "ci_low", "ci_high"]
    return pd.concat(summaries, ignore_index=True)[columns]
