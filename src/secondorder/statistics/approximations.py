"""How far approximations are from exact Hessians, over networks and batches."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from secondorder.statistics.intervals import bootstrap_interval

_RESAMPLES = 9999


def summarise_approximations(
    rows: pd.DataFrame, by: Sequence[str], measures: Sequence[str], confidence: float
) -> pd.DataFrame:
    """Return the mean of each measure with its confidence interval over seeds.

    The Hessians of a seed are not independent of each other: before training those of all runs are of one network, and
    batches share a network. So their mean counts once, and seeds are resampled.

    Args:
        rows: The table ``approximations``, or a part of it.
        by: Columns whose values stay apart, beside the method and its effort; the problem must be one of them, or the
            rows of a single one.
        measures: The columns to summarise.
        confidence: Level of the intervals.

    Returns:
        The columns ``by``, method, kind, effort, unit, hessians (how many there were), converged and certified (of how
        many), and of each measure its mean under its name and ``_low`` and ``_high``; NaN where a method does not give
        it of every Hessian, and where there are fewer than two seeds for an interval.
    """
    keys = [*by, "method", "kind", "effort", "unit"]
    summaries = []
    for key, group in rows.groupby(keys, sort=False, dropna=False):
        summary = dict(zip(keys, key, strict=True))
        summary["hessians"] = len(group)
        summary |= {name: int(group[name].sum()) for name in ("converged", "certified")}
        for measure in measures:
            # A mean that leaves out what is not known would be of other Hessians than the next method's.
            of_seeds = group.groupby("seed")[measure].agg(lambda values: values.mean(skipna=False))
            values: NDArray[np.float64] = np.asarray(of_seeds, dtype=np.float64)
            # Resampling what has no mean only warns.
            known = np.isfinite(values).all()
            low, high = bootstrap_interval(values, confidence, _RESAMPLES) if known else (np.nan, np.nan)
            summary |= {measure: values.mean(), f"{measure}_low": float(low), f"{measure}_high": float(high)}
        summaries.append(summary)
    return pd.DataFrame(summaries)


def with_labels(rows: pd.DataFrame) -> pd.DataFrame:
    """Return rows with the column ``label``: the method with its effort, such as "Lanczos, 40 products"."""
    texts = [
        method if np.isnan(effort) else f"{method}, {effort:g} {unit.removesuffix('s') if effort == 1 else unit}"
        for method, effort, unit in zip(rows["method"], rows["effort"], rows["unit"], strict=True)
    ]
    return rows.assign(label=texts)
