"""Confidence intervals over seeds."""

import numpy as np
from numpy.typing import NDArray
from scipy import stats

_GENERATOR_SEED = 0


def bootstrap_interval(
    values: NDArray[np.float64], confidence: float, resamples: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the percentile-bootstrap confidence interval of the mean over axis 0.

    Seeds are drawn with replacement, the mean of each draw is taken, and the interval holds the central share
    ``confidence`` of these means (Efron & Tibshirani 1993, chapter 13). With few seeds it is too narrow: for three, its
    widest possible ends are the smallest and the largest value. The resampling is seeded, so the same values give the
    same interval.

    Args:
        values: One row per seed, shape (seeds, ...).
        confidence: Level, in (0, 1).
        resamples: Number of draws.

    Returns:
        Lower and upper ends, each of shape ``values.shape[1:]``; NaN where there are fewer than two seeds.
    """
    if len(values) < 2:
        nothing = np.full(values.shape[1:], np.nan)
        return nothing, nothing.copy()
    interval = stats.bootstrap(
        (values,),
        np.mean,
        axis=0,
        confidence_level=confidence,
        n_resamples=resamples,
        method="percentile",
        vectorized=True,
        rng=np.random.default_rng(_GENERATOR_SEED),
    ).confidence_interval
    return np.asarray(interval.low), np.asarray(interval.high)
