"""From findings to verdicts: what follows for a claim, by rules that are stated here and nowhere else."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from secondorder.claims.findings import Finding
from secondorder.claims.models import Evidence
from secondorder.statistics.multiplicity import holm, partial_conjunction

Parts = Sequence[tuple[Evidence, Sequence[Finding]]]
"""The parts of a claim, each with its findings, one per case."""


class Verdict(StrEnum):
    """What follows for a claim."""

    REPRODUCED = "REPRODUCED"
    DIRECTION_ONLY = "DIRECTION-ONLY"
    NOT_REPRODUCED = "NOT-REPRODUCED"
    INCONCLUSIVE = "INCONCLUSIVE"
    NOT_RUN = "NOT-RUN"


@dataclass(frozen=True)
class Strength:
    """How well something is supported: three p values, of the margin, the direction and the margin's opposite."""

    margin: float
    direction: float
    refuted: float

    def scaled(self, factors: "Strength") -> "Strength":
        """Return p values multiplied for the family that they were one of, at most 1."""
        pairs = zip(self.numbers(), factors.numbers(), strict=True)
        return Strength(*(min(1.0, p * factor) for p, factor in pairs))

    def numbers(self) -> tuple[float, float, float]:
        """Return the three."""
        return self.margin, self.direction, self.refuted


NO_CORRECTION = Strength(1.0, 1.0, 1.0)


def conclude(strength: Strength, level: float) -> Verdict:
    """Return the verdict on what was measured.

    The margin shown is REPRODUCED; only the direction shown DIRECTION-ONLY, be the margin refuted or open; the margin
    refuted without the direction shown NOT-REPRODUCED; neither shown nor refuted INCONCLUSIVE.

    Args:
        strength: Its adjusted p values.
        level: At most this is significant.
    """
    if strength.margin <= level:
        return Verdict.REPRODUCED
    if strength.direction <= level:
        return Verdict.DIRECTION_ONLY
    return Verdict.NOT_REPRODUCED if strength.refuted <= level else Verdict.INCONCLUSIVE


def strength_of_part(part: Evidence, findings: Sequence[Finding]) -> Strength | None:
    """Return how well a part holds in the share of its cases that it names; None where none of them was measured.

    It holds in u = ⌈share · n⌉ of n cases, and is refuted where n − u + 1 of them are: both are partial conjunctions. A
    case in which nothing can be said supports neither.

    Args:
        part: The part.
        findings: Its findings, one per case.
    """
    measured = [finding for finding in findings if not finding.case.missing]
    if not measured:
        return None
    wanted = cases_wanted(part, len(measured))
    return Strength(
        partial_conjunction([finding.p for finding in measured], wanted),
        partial_conjunction([finding.p_direction for finding in measured], wanted),
        partial_conjunction([finding.p_refuted for finding in measured], len(measured) - wanted + 1),
    )


def cases_wanted(part: Evidence, cases: int) -> int:
    """Return in how many of so many cases a part has to hold."""
    # Less than the rounding of a share such as 0.7, more than any share's distance from the next case.
    return max(1, math.ceil(part.of_cases * cases - 1e-9))


def strength_of_claim(parts: Sequence[Strength]) -> Strength:
    """Return how well all parts of a claim hold together; it is refuted where any of them is (Bonferroni).

    Args:
        parts: Of each part, at least one.
    """
    return Strength(
        max(part.margin for part in parts),
        max(part.direction for part in parts),
        partial_conjunction([part.refuted for part in parts], 1),
    )


@dataclass(frozen=True)
class Judged:
    """A claim with its verdict.

    Attributes:
        verdict: The verdict.
        adjusted: Its p values, adjusted within its family; None where nothing was measured.
        factors: What the correction multiplied them by, and multiplies those of its findings by.
        level: What is significant.
        missing: Parts of which nothing was measured.
        failed: Of each control that failed, the finding that did.
    """

    verdict: Verdict
    adjusted: Strength | None
    factors: Strength
    level: float
    missing: Sequence[str]
    failed: Sequence[Finding]


def judge_family(claims: Mapping[str, Parts], level: float) -> dict[str, Judged]:
    """Return the verdicts on the claims of a family.

    Claims that infer something are corrected together by Holm's procedure, separately for margins, directions and
    refutations; claims that look at every number there is infer nothing and are not counted.

    Args:
        claims: The parts of each claim.
        level: At most this is significant.
    """
    strengths: dict[str, Strength] = {}
    for name, parts in claims.items():
        tested = [strength_of_part(part, found) for part, found in parts if not part.control]
        if measured := [strength for strength in tested if strength is not None]:
            strengths[name] = strength_of_claim(measured)
    corrected = [name for name in strengths if any(finding.inferred for _, found in claims[name] for finding in found)]
    adjusted = strengths | dict(zip(corrected, _adjusted([strengths[name] for name in corrected]), strict=True))
    return {name: _judged(parts, strengths.get(name), adjusted.get(name), level) for name, parts in claims.items()}


def _adjusted(family: Sequence[Strength]) -> list[Strength]:
    """Return the strengths of a family by Holm's procedure, margins, directions and refutations each by themselves."""
    columns = [
        holm([each.margin for each in family]),
        holm([each.direction for each in family]),
        holm([each.refuted for each in family]),
    ]
    return [Strength(*row) for row in np.transpose(columns).tolist()]


def _judged(parts: Parts, bare: Strength | None, adjusted: Strength | None, level: float) -> Judged:
    missing = [part.name for part, found in parts if all(finding.case.missing for finding in found)]
    failed = [
        max(found, key=lambda finding: finding.p)
        for part, found in parts
        if part.control and (strength := strength_of_part(part, found)) is not None and strength.margin > level
    ]
    if bare is None or adjusted is None:
        return Judged(Verdict.NOT_RUN, None, NO_CORRECTION, level, missing, failed)
    factors = Strength(
        *(new / old if old else 1.0 for new, old in zip(adjusted.numbers(), bare.numbers(), strict=True))
    )
    verdict = conclude(adjusted, level)
    # A part that was not measured cannot be shown, but one that was can be refuted.
    if failed or (missing and verdict is not Verdict.NOT_REPRODUCED):
        verdict = Verdict.INCONCLUSIVE
    return Judged(verdict, adjusted, factors, level, missing, failed)
