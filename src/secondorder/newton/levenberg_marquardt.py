"""Damping that follows how well the quadratic model predicts.

Source: Marquardt 1963, with the thresholds and factors of Martens 2010, section 4.1.
"""

import math

DAMPING_RANGE = (1e-8, 1e8)
"""The damping goes no further from either end, so that it can come back within some dozen steps."""


def reduction_ratio(actual: float, predicted: float, rounding: float) -> float | None:
    """Return ρ = (f(θ + d) − f(θ)) / q(d), the measured change over that of the undamped quadratic model.

    Args:
        actual: f(θ + d) − f(θ).
        predicted: q(d) = gᵀd + ½ dᵀHd.
        rounding: A change of f that counts as none.

    Returns:
        ρ; −∞ where the model promises no decrease, None where neither change is more than rounding, which says nothing.
    """
    if abs(predicted) <= rounding and abs(actual) <= rounding:
        return None
    return actual / predicted if predicted < 0 else -math.inf


def next_damping(damping: float, ratio: float | None, smallest: float = DAMPING_RANGE[0]) -> float:
    """Return λ × 2/3 where ρ > 3/4, λ × 3/2 where ρ < 1/4, and λ otherwise.

    Args:
        damping: λ; at or beyond an end of its range it goes no further.
        ratio: ρ; NaN, of a function that is not finite, counts as disagreement, and None as nothing learnt.
        smallest: The lower end of the range; the upper one is that of ``DAMPING_RANGE``.
    """
    if ratio is None:
        return damping
    if ratio > 0.75:
        return damping * (2 / 3) if damping > smallest else damping
    if not ratio >= 0.25:
        return damping * (3 / 2) if damping < DAMPING_RANGE[1] else damping
    return damping
