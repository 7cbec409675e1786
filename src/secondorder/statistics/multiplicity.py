"""Many tests at once: Holm's correction, and what holds in several cases at once."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def holm(p_values: Sequence[float]) -> NDArray[np.float64]:
    """Return p values adjusted by Holm's procedure: p̃₍ᵢ₎ = max over j ≤ i of min(1, (m − j + 1) p₍ⱼ₎) (Holm 1979).

    Of the hypotheses with p̃ ≤ α any is rejected wrongly with probability at most α, however they depend on each other.

    Args:
        p_values: The p values of a family; NaN for a test that was not made, which does not count.

    Returns:
        The adjusted values in the same places; NaN where there is none.
    """
    values = np.asarray(p_values, dtype=np.float64)
    made = np.flatnonzero(~np.isnan(values))
    order = made[np.argsort(values[made], kind="stable")]
    adjusted = np.full(values.shape, np.nan)
    adjusted[order] = np.minimum(np.maximum.accumulate(values[order] * np.arange(len(order), 0, -1)), 1.0)
    return adjusted


def partial_conjunction(p_values: Sequence[float], cases: int) -> float:
    """Return the p value of "it holds in at least so many of the cases": min(1, (n − u + 1) p₍ᵤ₎).

    Of all n it is the largest p value (the intersection-union test), of one Bonferroni's (Benjamini & Heller 2008,
    section 2).

    Args:
        p_values: The p value of each of the n cases.
        cases: The number u, from 1 to n.
    """
    ordered = np.sort(np.asarray(p_values, dtype=np.float64))
    return float(min(1.0, (len(ordered) - cases + 1) * ordered[cases - 1]))
