"""The ledger: every finding of every claim as a row, and every claim with its verdict."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from secondorder.claims.findings import Finding, find
from secondorder.claims.measurement import Case, measure
from secondorder.claims.models import INFERRED, Claim
from secondorder.claims.sentences import bound_of, finding_text, why
from secondorder.claims.verdicts import (
    Judged,
    Parts,
    Strength,
    Verdict,
    cases_wanted,
    conclude,
    judge_family,
)


def judge_claims(
    claims: Sequence[Claim],
    tables: Mapping[str, pd.DataFrame],
    absent: Mapping[str, str],
    conditions: Mapping[str, Mapping[str, str]],
    confidence: float,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the findings and the verdicts on claims.

    Args:
        claims: The claims.
        tables: The tables that they read, of all problems and conditions.
        absent: Why there is none of the other tables that they read.
        conditions: As :func:`~secondorder.claims.measurement.measure`.
        confidence: 1 − α, α the level of every one-sided test in a family, after Holm's correction. The intervals have
            level 1 − 2α, so that a margin is shown, before the correction, where they end before it.

    Returns:
        Findings: columns claim, part, case, control, subject, reference, estimate, low, high, margin (on the
        scale of the estimate), p, p_adjusted (p times what Holm's procedure multiplied its claim by), numbers (how
        many), seeds, seeds_needed, verdict and reason; p and seeds only where something is inferred. Verdicts: claim,
        sentence, source, text (what is known of it), reading, p_adjusted, verdict, why and data_verified.
    """
    level = 1 - confidence
    verified = all(bool(table["data_verified"].all()) for table in tables.values() if "data_verified" in table)
    findings, verdicts = [], []
    for family in dict.fromkeys(claim.family for claim in claims):
        members = {claim.id: claim for claim in claims if claim.family == family}
        inferring = sum(any(part.test in INFERRED for part in claim.evidence) for claim in members.values())
        parts = {
            name: _parts(claim, tables, absent, conditions, level / max(1, inferring), 1 - 2 * level)
            for name, claim in members.items()
        }
        for name, judged in judge_family(parts, level).items():
            findings += [_finding_row(name, finding, judged) for _, found in parts[name] for finding in found]
            verdicts.append(_verdict_row(members[name], judged, parts[name]) | {"data_verified": verified})
    return pd.DataFrame(findings), pd.DataFrame(verdicts)


def _parts(
    claim: Claim,
    tables: Mapping[str, pd.DataFrame],
    absent: Mapping[str, str],
    conditions: Mapping[str, Mapping[str, str]],
    level: float,
    confidence: float,
) -> Parts:
    parts = []
    for part in claim.evidence:
        if part.table in tables:
            cases = measure(part, tables[part.table], conditions)
        else:
            cases = [Case("", obstacle=absent[part.table], missing=True)]
        measured = max(1, sum(not case.missing for case in cases))
        # What holds in some of several cases is tested as strictly as a partial conjunction does.
        planned = level / (measured - cases_wanted(part, measured) + 1)
        parts.append((part, [find(part, case, confidence, planned) for case in cases]))
    return parts


def _finding_row(claim: str, finding: Finding, judged: Judged) -> dict[str, Any]:
    part, case, count = finding.part, finding.case, len(finding.case.effects)
    strength = Strength(finding.p, finding.p_direction, finding.p_refuted)
    if finding.inferred:
        strength = strength.scaled(judged.factors)
    nothing = float("nan")
    return {
        "claim": claim,
        "part": part.name,
        "case": case.name,
        "control": part.control,
        "subject": case.subject,
        "reference": case.reference,
        "estimate": finding.estimate,
        "low": finding.interval.low,
        "high": finding.interval.high,
        "margin": bound_of(part),
        "p": finding.p if finding.inferred else nothing,
        "p_adjusted": strength.margin if finding.inferred else nothing,
        "numbers": count,
        "seeds": float(count) if finding.inferred else nothing,
        "seeds_needed": finding.units_needed,
        "verdict": str(Verdict.NOT_RUN if case.missing else conclude(strength, judged.level)),
        "reason": finding_text(finding),
    }


def _verdict_row(claim: Claim, judged: Judged, parts: Parts) -> dict[str, Any]:
    inferred = judged.adjusted is not None and any(finding.inferred for _, found in parts for finding in found)
    source = claim.source
    return {
        "claim": claim.id,
        "sentence": claim.sentence,
        "source": f"{source.paper}{f', arXiv {source.arxiv}' if source.arxiv else ''}",
        "text": source.text,
        "reading": claim.reading,
        "p_adjusted": judged.adjusted.margin if judged.adjusted is not None and inferred else np.nan,
        "verdict": str(judged.verdict),
        "why": why(judged, parts),
    }
