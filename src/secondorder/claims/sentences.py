"""Verdicts and findings in sentences, made of the numbers alone."""

from collections.abc import Sequence

import numpy as np

from secondorder.claims.findings import Finding
from secondorder.claims.models import Evidence
from secondorder.claims.verdicts import Judged, Parts, Verdict, cases_wanted


def bound_of(part: Evidence) -> float:
    """Return the margin on the scale of the estimate: a lower ratio as one below 1, a lower difference as negative."""
    if part.test in {"at_most", "at_least", "equivalence"}:
        return part.margin
    # To be better is below the bound where lower is better; not to be worse is one margin on the other side of nothing.
    sign = (1 if part.better == "higher" else -1) * (1 if part.test == "superiority" else -1)
    return float(part.margin**sign) if part.effect == "ratio" else sign * part.margin


def claimed(part: Evidence) -> str:
    """Return what a part claims of its estimate."""
    bound = bound_of(part)
    match part.test:
        case "at_most":
            return f"claimed at most {bound:g}"
        case "at_least":
            return f"claimed at least {bound:g}"
        case "equivalence" if part.effect == "ratio":
            return f"claimed between {1 / bound:.3g} and {bound:.3g}"
        case "equivalence":
            return f"claimed between {-bound:.3g} and {bound:.3g}"
        case _:
            return f"claimed {'above' if part.better == 'higher' else 'below'} {bound:.3g}"


def finding_text(finding: Finding) -> str:
    """Return what was found in a case: its estimate with interval and what is claimed of it, or why there is none."""
    part, case = finding.part, finding.case
    where = f"{part.name.replace('_', ' ')}{f' ({case.name})' if case.name else ''}"
    if finding.obstacle or case.failure:
        return f"{where}: {finding.obstacle or case.failure}"
    return f"{where}: {_measure(part)}{_who(finding)} {_number(finding)}, {claimed(part)}"


def _measure(part: Evidence) -> str:
    column = f"{part.column}{f' is {part.equals!r}' if part.equals is not None else ''}".replace("_", " ")
    quotient = f"{column} over {part.over.replace('_', ' ')}" if part.over else column
    if part.effect == "rank_change":
        return "change of rank agreement"
    effect = "" if part.effect == "value" else f"{part.effect} of "
    statistic = "geometric mean" if (part.statistic, part.effect) == ("mean", "ratio") else part.statistic
    return f"{statistic} {effect}{quotient}"


def _who(finding: Finding) -> str:
    case = finding.case
    return f", {case.subject} against {case.reference}," if case.subject else ""


def _number(finding: Finding) -> str:
    estimate = "undefined (both missed)" if np.isnan(finding.estimate) else f"{finding.estimate:.3g}"
    if not finding.inferred:
        return f"{estimate} ({len(finding.case.effects)} numbers)"
    low, high = finding.interval
    return f"{estimate} ({low:.3g} to {high:.3g}, {len(finding.case.effects)} seeds)"


def why(judged: Judged, parts: Parts) -> str:
    """Return in one sentence why a claim has its verdict: its deciding finding, and what stands in its way.

    Args:
        judged: The claim's verdict.
        parts: Its parts.
    """
    if judged.verdict is Verdict.NOT_RUN:
        return _sentence(list(dict.fromkeys(finding.obstacle for _, found in parts for finding in found)))
    clauses = [f"the evidence fails its own control: {finding_text(finding)}" for finding in judged.failed]
    if not judged.failed and (deciding := _deciding(judged, parts)):
        clauses.append(deciding)
    if judged.missing:
        clauses.append(f"not measured: {', '.join(judged.missing).replace('_', ' ')}")
    return _sentence(clauses)


def _deciding(judged: Judged, parts: Parts) -> str:
    """Return the finding that the verdict rests on; empty where nothing that was measured stands in the way of more."""
    tested = [(part, [each for each in found if not each.case.missing]) for part, found in parts if not part.control]
    weakest = [_weakest(part, found) for part, found in tested if found]
    match judged.verdict:
        case Verdict.REPRODUCED:
            return f"all is shown, and least clearly {finding_text(max(weakest, key=lambda finding: finding.p))}"
        case Verdict.DIRECTION_ONLY:
            text = finding_text(max(weakest, key=lambda finding: finding.p))
            return f"the direction is shown, the margin is not: {text}"
        case Verdict.NOT_REPRODUCED:
            refuting = [_refuting(part, found) for part, found in tested if found]
            return f"the margin is refuted: {finding_text(min(refuting, key=lambda finding: finding.p_refuted))}"
        case _:
            undecided = [finding for finding in weakest if min(1.0, finding.p * judged.factors.margin) > judged.level]
            by_effort = sorted(undecided, key=lambda finding: np.nan_to_num(finding.units_needed))
            return f"undecided: {_undecided(by_effort[-1])}" if by_effort else ""


def _weakest(part: Evidence, found: Sequence[Finding]) -> Finding:
    """Return the case that a part would hold in last, of as many as it has to."""
    ordered = sorted(found, key=lambda finding: (finding.p, np.nan_to_num(finding.units_needed, nan=np.inf)))
    return ordered[cases_wanted(part, len(found)) - 1]


def _refuting(part: Evidence, found: Sequence[Finding]) -> Finding:
    """Return the last case that it takes to refute a part."""
    return sorted(found, key=lambda finding: finding.p_refuted)[len(found) - cases_wanted(part, len(found))]


def _undecided(finding: Finding) -> str:
    text = finding_text(finding)
    if np.isnan(finding.units_needed):
        return text
    if np.isinf(finding.units_needed):
        return f"{text}; no number of seeds would decide at this spread"
    return f"{text}; about {finding.units_needed:.0f} seeds would decide"


def _sentence(clauses: Sequence[str]) -> str:
    text = "; ".join(clauses)
    return f"{text[:1].upper()}{text[1:]}."
