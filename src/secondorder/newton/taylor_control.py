"""The length of a step, from the error of the Taylor expansion along it.

Source: this project's reading of the abstract of Shen et al. 2020; defined in docs/methods.md.
"""

from collections.abc import Callable
from dataclasses import dataclass

from secondorder.newton.quadratic_model import QuadraticModel, taylor_error

SMALLEST_LENGTH = 1e-8
"""The step length is not shrunk below this, so that it can grow again within a few dozen steps."""


@dataclass(frozen=True)
class TaylorRule:
    """When a step length shrinks and when it grows.

    Attributes:
        shrink_above: A step with a larger Taylor error is not taken; a shorter one is tried.
        grow_below: After a step with a smaller one, the next step may be longer.
        shrink: What a length that is too long is multiplied by.
        grow: What a length that may grow is multiplied by.
        retries: How often a shorter step is tried before none is taken.
    """

    shrink_above: float
    grow_below: float
    shrink: float
    grow: float
    retries: int


@dataclass(frozen=True)
class TaylorStep:
    """A step length with what was measured along the last one that was tried.

    Attributes:
        length: α of the step; 0 where none is taken.
        next_length: α that the next step starts with.
        predicted: The model's change at the last α that was tried.
        actual: The measured change there.
        error: E, the Taylor error there.
        retries: Lengths that were tried beyond the first.
    """

    length: float
    next_length: float
    predicted: float
    actual: float
    error: float
    retries: int


def taylor_control(
    change: Callable[[float], float],
    model: QuadraticModel,
    *,
    length: float,
    longest: float,
    largest: float,
    rounding: float,
    rule: TaylorRule,
) -> TaylorStep:
    """Shrink a step until its Taylor expansion holds, and let the next one grow where it holds well.

    A length is accepted where the function decreases and E ≤ ``shrink_above``, or where neither the model nor the
    measurement shows a change beyond rounding. A length that was accepted at the first attempt with E < ``grow_below``
    grows; not after a change within rounding, which teaches nothing, nor where ``longest`` was what limited it.

    Args:
        change: α ↦ f(θ + α d) − f(θ), measured.
        model: The quadratic model along d.
        length: α to start with, of the step before.
        longest: The longest α of this step.
        largest: The α that lengths grow towards.
        rounding: A change of f that counts as none.
        rule: Thresholds, factors and the number of retries.
    """
    trial = min(length, longest)
    for retries in range(rule.retries + 1):
        trial = trial * rule.shrink if retries else trial
        predicted, actual = model.change(trial), change(trial)
        error = taylor_error(predicted, actual, rounding)
        unseen = abs(predicted) <= rounding and abs(actual) <= rounding
        if unseen or (actual < 0 and predicted < 0 and error <= rule.shrink_above):
            following = trial if retries else length
            if not (unseen or retries or trial < length) and error < rule.grow_below:
                following = min(length * rule.grow, largest)
            return TaylorStep(trial, following, predicted, actual, error, retries)
    return TaylorStep(0.0, max(trial * rule.shrink, SMALLEST_LENGTH), predicted, actual, error, rule.retries)
