"""One-sided tests of effects that were measured once per unit, such as a seed, and their confidence intervals.

The mean is tested by Student's t. The median is tested by signs, which need no numbers: an effect may be infinite.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Effects = NDArray[np.float64]


class Interval(NamedTuple):
    """A confidence interval."""

    low: float
    high: float


def mean_above(effects: Effects, bound: float) -> float:
    """Return the p value of "the mean effect is above the bound": Student's one-sided t test.

    Args:
        effects: One per unit, shape [units].
        bound: The bound.

    Returns:
        P(T ≥ t) with t = (x̄ − bound) √n / s and n − 1 degrees of freedom. Effects that are all equal leave no doubt: 0
        above the bound, else 1. NaN where there are fewer than two, or one is not finite.
    """
    if len(effects) < 2 or not np.isfinite(effects).all():
        return float("nan")
    if np.ptp(effects) == 0:
        return float(effects[0] <= bound)
    t = (np.mean(effects) - bound) * np.sqrt(len(effects)) / np.std(effects, ddof=1)
    return float(stats.t.sf(t, len(effects) - 1))


def median_above(effects: Effects, bound: float) -> float:
    """Return the p value of "the median effect is above the bound": the sign test.

    Args:
        effects: One per unit, shape [units]. Infinite ones count by their sign; one that is equal to the bound, or no
            number because nothing was reached on either side, counts as not above it.
        bound: The bound.

    Returns:
        P(K ≥ k) for K binomial with n and 1/2, and k effects above the bound; NaN where there are none.
    """
    if len(effects) == 0:
        return float("nan")
    return float(stats.binom.sf(int((effects > bound).sum()) - 1, len(effects), 0.5))


def mean_interval(effects: Effects, confidence: float) -> Interval:
    """Return Student's confidence interval of the mean, which the t test inverts.

    Args:
        effects: One per unit, shape [units].
        confidence: Level, two-sided.

    Returns:
        The interval; everything where there are fewer than two effects, or one is not finite.
    """
    if len(effects) < 2 or not np.isfinite(effects).all():
        return Interval(-np.inf, np.inf)
    half = stats.t.ppf((1 + confidence) / 2, len(effects) - 1) * np.std(effects, ddof=1) / np.sqrt(len(effects))
    return Interval(float(np.mean(effects) - half), float(np.mean(effects) + half))


def median_interval(effects: Effects, confidence: float) -> Interval:
    """Return the confidence interval of the median between two order statistics, which the sign test inverts.

    Args:
        effects: One per unit, shape [units].
        confidence: Level, two-sided.

    Returns:
        From the j-th smallest to the j-th largest effect, with the largest j for which P(K < j) ≤ (1 − confidence) / 2,
        K binomial with n and 1/2; everything where there is none. Effects that are no numbers lie at both ends.
    """
    count = len(effects)
    below = stats.binom.cdf(np.arange(count), count, 0.5)
    rank = int((below <= (1 - confidence) / 2).sum())
    if rank == 0:
        return Interval(-np.inf, np.inf)
    low, high = (np.sort(np.nan_to_num(effects, nan=end, posinf=np.inf, neginf=-np.inf)) for end in (-np.inf, np.inf))
    return Interval(float(low[rank - 1]), float(high[count - rank]))
