"""How many units, such as seeds, a one-sided test needs, from the spread that was observed."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from secondorder.statistics.tests_of_effects import Effects

POWER = 0.8
MOST = 1000
"""More units than anybody measures: the same as none would do."""


def units_for_mean(effects: Effects, bound: float, level: float) -> float:
    """Return how many units Student's one-sided t test needs to tell the mean from the bound.

    The smallest n with P(T > t₁₋ₐ) ≥ 0.8, T noncentral t with n − 1 degrees of freedom and noncentrality
    √n |x̄ − bound| / s, x̄ and s being those observed (Cohen 1988, chapter 2): to show that the mean is above the bound
    where it was, and to refute it where it was not.

    Args:
        effects: Those observed, shape [units].
        bound: The bound.
        level: Level of the test.

    Returns:
        The number; infinite where the mean is on the bound or more than :data:`MOST` would be needed, NaN where the
        spread is not known.
    """
    if len(effects) < 2 or not np.isfinite(effects).all():
        return float("nan")
    spread = float(np.std(effects, ddof=1))
    distance = abs(float(np.mean(effects)) - bound)
    if spread == 0:
        return 2.0 if distance else float("inf")
    return _smallest(lambda units: power_of_mean_test(distance / spread, units, level))


def power_of_mean_test(size: float, units: int, level: float) -> float:
    """Return the power of Student's one-sided t test.

    Args:
        size: Distance of the mean from the bound, in standard deviations.
        units: The number of units.
        level: Level of the test.
    """
    degrees = units - 1
    power = stats.nct.sf(stats.t.ppf(1 - level, degrees), degrees, size * np.sqrt(units))
    return float(np.nan_to_num(power, nan=float(size * np.sqrt(units) > stats.norm.ppf(1 - level))))


def units_for_equivalence(effects: Effects, margin: float, level: float) -> float:
    """Return how many units two one-sided t tests need to show |mean| < margin, or to refute it.

    Where the mean observed is within the margin, the power is at least that of the one test and of the other, less 1
    (Bonferroni's inequality); elsewhere that of the one test that refutes it.

    Args:
        effects: Those observed, shape [units].
        margin: The margin.
        level: Level of each test.

    Returns:
        As :func:`units_for_mean`.
    """
    if len(effects) < 2 or not np.isfinite(effects).all():
        return float("nan")
    spread, mean = float(np.std(effects, ddof=1)), abs(float(np.mean(effects)))
    if mean >= margin or spread == 0:
        return units_for_mean(np.abs(np.mean(effects)) + effects - np.mean(effects), margin, level)
    sizes = ((margin - mean) / spread, (margin + mean) / spread)
    return _smallest(lambda units: sum(power_of_mean_test(size, units, level) for size in sizes) - 1)


def units_for_median(effects: Effects, bound: float, level: float) -> float:
    """Return how many units the sign test needs to show that the median is above the bound, or to refute it.

    The smallest number at which the test at this level has power 0.8, where each effect lies on the side of the
    majority with probability (k + 1/2) / (n + 1), the estimate by Jeffreys' prior from the k of n that did: three of
    three are no proof that all would.

    Args:
        effects: Those observed, shape [units].
        bound: The bound.
        level: Level of the test.

    Returns:
        The number; infinite where the sides are even, NaN where nothing was observed.
    """
    if len(effects) == 0:
        return float("nan")
    majority = max(int((effects > bound).sum()), int((effects < bound).sum()))
    share = (majority + 0.5) / (len(effects) + 1)
    if share <= 0.5:
        return float("inf")
    # Its power does not rise with every unit, so that halving would miss the first number that does.
    units = np.arange(1, MOST + 1)
    enough = power_of_sign_test(share, units, level) >= POWER
    return float(units[enough.argmax()]) if enough.any() else float("inf")


def power_of_sign_test(share: float, units: NDArray[np.int64], level: float) -> NDArray[np.float64]:
    """Return the power of the one-sided sign test.

    Args:
        share: Probability that an effect lies above the bound.
        units: Numbers of units.
        level: Level of the test.
    """
    most_unrejected = stats.binom.isf(level, units, 0.5)
    return np.asarray(stats.binom.sf(most_unrejected, units, share))


def _smallest(power: Callable[[int], float]) -> float:
    """Return the smallest number of units with enough power; it is bracketed by doubling and then bisected."""
    high = 2
    while power(high) < POWER:
        high *= 2
        if high > MOST:
            return float("inf")
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if power(middle) >= POWER else (middle, high)
    return float(high)
