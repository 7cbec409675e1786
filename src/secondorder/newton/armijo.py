"""Backtracking line search with sufficient decrease.

Source: Armijo 1966; Nocedal & Wright 2006, algorithm 3.1.
"""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class LineSearch:
    """What a line search found.

    Attributes:
        length: α of the step; 0 where no length that was tried decreases the function enough.
        tried: The last α that was tried.
        actual: The measured change there.
        retries: Lengths that were tried beyond the first.
    """

    length: float
    tried: float
    actual: float
    retries: int


def backtrack(
    change: Callable[[float], float],
    slope: float,
    *,
    length: float,
    sufficient_decrease: float,
    shrink: float,
    retries: int,
    rounding: float,
) -> LineSearch:
    """Return the first α of α₀, s α₀, s² α₀ … with f(θ + α d) − f(θ) ≤ c α gᵀd, up to rounding of f.

    Args:
        change: α ↦ f(θ + α d) − f(θ), measured.
        slope: gᵀd, negative.
        length: α₀.
        sufficient_decrease: c, the share of the slope's decrease that is enough.
        shrink: s, below 1.
        retries: How often a shorter step is tried before none is taken.
        rounding: A change of f that counts as none.
    """
    for attempt in range(retries + 1):
        trial = length * shrink**attempt
        actual = change(trial)
        if actual <= sufficient_decrease * trial * slope + rounding:
            return LineSearch(trial, trial, actual, attempt)
    return LineSearch(0.0, trial, actual, retries)
