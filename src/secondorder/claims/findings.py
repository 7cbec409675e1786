"""What the numbers of one case say of a part of a claim."""

from dataclasses import dataclass

import numpy as np

from secondorder.claims.measurement import Case
from secondorder.claims.models import INFERRED, Evidence
from secondorder.statistics.growth_exponent import GrowthExponent
from secondorder.statistics.sample_size import units_for_equivalence, units_for_mean, units_for_median
from secondorder.statistics.tests_of_effects import (
    Effects,
    Interval,
    mean_above,
    mean_interval,
    median_above,
    median_interval,
)


@dataclass(frozen=True)
class Finding:
    """What was found in one case.

    Attributes:
        part: The part of the claim.
        case: What was measured.
        estimate: The statistic, as the claim states it: of a ratio no logarithm.
        interval: Its confidence interval; of what is no inference the estimate alone.
        p: Small where the margin is shown. Without inference 0 where it is met and 1 where it is not.
        p_direction: Small where the claimed direction is shown.
        p_refuted: Small where it is shown that the margin is not met.
        units_needed: Units, such as seeds, that would decide; NaN where this is not known.
        obstacle: Why nothing can be said; empty where something can.
    """

    part: Evidence
    case: Case
    estimate: float = float("nan")
    interval: Interval = Interval(float("nan"), float("nan"))
    p: float = 1.0
    p_direction: float = 1.0
    p_refuted: float = 1.0
    units_needed: float = float("nan")
    obstacle: str = ""

    @property
    def inferred(self) -> bool:
        """Whether it was inferred from a sample, so that its p values have a chance to be wrong."""
        return self.part.test in INFERRED and not self.obstacle and not self.case.failure


def find(part: Evidence, case: Case, confidence: float, level: float) -> Finding:
    """Return what was found in a case.

    Args:
        part: The part of the claim.
        case: Its numbers.
        confidence: Level of the confidence interval, two-sided.
        level: Level at which the units needed are counted.
    """
    if case.obstacle:
        return Finding(part, case, obstacle=case.obstacle)
    if case.failure:
        return Finding(part, case, p_refuted=0.0)
    if part.statistic == "exponent":
        return _of_exponent(part, case, confidence)
    if part.test not in INFERRED:
        return _compared_with_bound(part, case)
    if part.statistic == "mean" and not np.isfinite(case.effects).all():
        return Finding(part, case, obstacle="a miss is infinite and has no mean")
    if part.statistic == "mean" and len(case.effects) < 2:
        return Finding(part, case, obstacle=f"one {part.pair_by[0]} has no spread; at least two are needed")
    p, p_direction, p_refuted = _p_values(part, case.effects)
    interval = (median_interval if part.statistic == "median" else mean_interval)(case.effects, confidence)
    # The middle of two misses on both sides is no number, and says so.
    centre = np.median(case.effects) if part.statistic == "median" else np.mean(case.effects)
    return Finding(
        part,
        case,
        _stated(part, float(centre)),
        Interval(*(_stated(part, end) for end in interval)),
        p,
        p_direction,
        p_refuted,
        _units_needed(part, case.effects, level),
    )


def _p_values(part: Evidence, effects: Effects) -> tuple[float, float, float]:
    """Return the p values of the margin, of the direction and of the margin's opposite."""
    above = median_above if part.statistic == "median" else mean_above
    gains, margin = _gains(part, effects), _margin(part)
    if part.test == "superiority":
        return above(gains, margin), above(gains, 0.0), above(-gains, -margin)
    if part.test == "non_inferiority":
        p = above(gains, -margin)
        return p, p, above(-gains, margin)
    p = max(above(gains, -margin), above(-gains, -margin))
    return p, p, min(1.0, 2 * min(above(gains, margin), above(-gains, margin)))


def _units_needed(part: Evidence, effects: Effects, level: float) -> float:
    gains, margin = _gains(part, effects), _margin(part)
    if part.test == "equivalence":
        return units_for_equivalence(gains, margin, level)
    needed = units_for_median if part.statistic == "median" else units_for_mean
    return needed(gains, margin if part.test == "superiority" else -margin, level)


def _gains(part: Evidence, effects: Effects) -> Effects:
    """Return the effects in the claimed direction."""
    return effects if part.better == "higher" else -effects


def _margin(part: Evidence) -> float:
    return float(np.log(part.margin)) if part.effect == "ratio" else part.margin


def _stated(part: Evidence, value: float) -> float:
    return float(np.exp(value)) if part.effect == "ratio" else value


def _compared_with_bound(part: Evidence, case: Case) -> Finding:
    estimate = _stated(part, _statistic(part, case))
    if np.isnan(estimate):
        return Finding(part, case, obstacle="the numbers leave it open")
    met = estimate <= part.margin if part.test == "at_most" else estimate >= part.margin
    # A bound that is not met shows no direction either: it is the claim's own.
    return Finding(part, case, estimate, Interval(estimate, estimate), float(not met), float(not met), float(met))


def _of_exponent(part: Evidence, case: Case, confidence: float) -> Finding:
    exponent = GrowthExponent.of(case.growth, case.effects)
    if exponent is None:
        return Finding(part, case, obstacle="an exponent needs three sizes to be known with its error")
    above = exponent.above(part.margin)
    p, p_refuted = (above, 1 - above) if part.test == "at_least" else (1 - above, above)
    return Finding(part, case, exponent.value, exponent.interval(confidence), p, p, p_refuted)


def _statistic(part: Evidence, case: Case) -> float:
    match part.statistic:
        case "largest":
            return float(np.max(case.effects))
        case "smallest":
            return float(np.min(case.effects))
        case "median":
            return float(np.median(case.effects))
        case _:
            return float(np.mean(case.effects))
