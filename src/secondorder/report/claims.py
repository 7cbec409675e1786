"""What the report shows of each claim: its verdict, the numbers behind it, and what they were measured on."""

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import pandas as pd

from secondorder.claims.models import INFERRED, Claim, Evidence
from secondorder.claims.sentences import claimed
from secondorder.claims.verdicts import Verdict
from secondorder.presentation import Context
from secondorder.provenance.hardware import trained_on
from secondorder.tables.table import Table

SYMBOLS = {
    Verdict.REPRODUCED: "✓",
    Verdict.DIRECTION_ONLY: "↗",
    Verdict.NOT_REPRODUCED: "✗",
    Verdict.INCONCLUSIVE: "?",
    Verdict.NOT_RUN: "–",
}
"""The sign before each verdict, in the order in which verdicts are counted."""


@dataclass(frozen=True)
class Ledger:
    """The claims and what was found.

    Attributes:
        claims: The claims, in the order to show them.
        verdicts: A row for each, as :func:`secondorder.claims.ledger.judge_claims` gives them.
        findings: The rows that the verdicts rest on, from there too.
        runs: Problem and name of the trained runs that each claim is judged by, as
            :func:`secondorder.claims.runs.runs_behind` gives them.
    """

    claims: Sequence[Claim]
    verdicts: pd.DataFrame
    findings: pd.DataFrame
    runs: Mapping[str, Sequence[Sequence[str]]]


@dataclass(frozen=True)
class ReportedClaim:
    """A claim in the report.

    Attributes:
        name: The claim's name; ``snakemake claim_<name>`` makes its evidence.
        verdict: Its verdict.
        sentence: What is claimed.
        source: Who claims it, and what is known of the text.
        why: Why it has its verdict.
        reading: How the claim was made testable.
        statistics: Its findings that are numbers.
        unknown: Reasons why findings have no number, each with the parts and cases that it is of.
        margins: Reasons of the margins, each with the parts that it is of.
        figures: Figures on the page that show the evidence.
        tables: Tables on the page that show the evidence.
        absent: Figures and tables that would show it and that the tier does not make.
        facts: Seeds, networks, device, training time and data, in words.
    """

    name: str
    verdict: Verdict
    sentence: str
    source: str
    why: str
    reading: str
    statistics: Table
    unknown: Mapping[str, Sequence[str]]
    margins: Mapping[str, Sequence[str]]
    figures: Sequence[str]
    tables: Sequence[str]
    absent: Sequence[str]
    facts: Mapping[str, str]


def reported_claims(
    ledger: Ledger,
    figures: Mapping[str, str],
    tables: Collection[str],
    manifests: Sequence[Mapping[str, Any]],
    context: Context,
) -> list[ReportedClaim]:
    """Return what the report shows of each claim, in the order of the ledger.

    Args:
        ledger: The claims and what was found.
        figures: The module of each figure on the page.
        tables: The tables on the page.
        manifests: The manifests of all runs of the tier.
        context: Gives labels and the level of confidence.
    """
    rows = {str(row["claim"]): row for row in ledger.verdicts.to_dict("records")}
    reported = []
    for claim in ledger.claims:
        row = rows[claim.id]
        found = ledger.findings[ledger.findings["claim"] == claim.id]
        kinds = set(figures.values())
        reported.append(
            ReportedClaim(
                name=claim.id,
                verdict=Verdict(row["verdict"]),
                sentence=row["sentence"],
                source=f"{row['source']} ({row['text']})",
                why=row["why"],
                reading=row["reading"],
                statistics=statistics_of(claim, found, context),
                unknown=_unknown(found),
                margins=_margins(claim),
                figures=[name for name, kind in figures.items() if kind in claim.figures],
                tables=[name for name in claim.tables if name in tables],
                absent=[name for name in claim.figures if name not in kinds]
                + [name for name in claim.tables if name not in tables],
                facts=_facts(found, bool(row["data_verified"]), ledger.runs[claim.id], manifests),
            )
        )
    return reported


def _margins(claim: Claim) -> dict[str, list[str]]:
    reasons: dict[str, list[str]] = {}
    for part in claim.evidence:
        reasons.setdefault(part.why.strip(), []).append(part.name.replace("_", " "))
    return reasons


def statistics_of(claim: Claim, findings: pd.DataFrame, context: Context) -> Table:
    """Return the findings of a claim that are numbers as a table; a column that says nothing of any of them is unshown.

    Args:
        claim: The claim.
        findings: Its findings.
        context: Gives labels and the level of confidence.
    """
    parts = {part.name: part for part in claim.evidence}
    findings = findings[~_is_unknown(findings)]
    inferred = findings["seeds"].notna()
    # Tests are one-sided at the level that the interval leaves on each side.
    interval = f"{100 * (2 * context.confidence - 1):.0f} % interval"
    rows = pd.DataFrame(
        {
            "part": [_part(parts[name]) for name in findings["part"]],
            "case": findings["case"],
            "compared": _each(findings["subject"], findings["reference"], partial(_compared, context.labels)),
            "verdict": findings["verdict"],
            "estimate": findings["estimate"],
            # What infers nothing has no interval, only its number.
            interval: _each(findings["low"].where(inferred), findings["high"].where(inferred), _interval),
            "claimed": [claimed(parts[name]).removeprefix("claimed ") for name in findings["part"]],
            "p": findings["p"],
            "p adjusted": findings["p_adjusted"],
            "measured": [
                f"{count} {'seeds' if tested else 'numbers'}"
                for count, tested in zip(findings["numbers"], inferred, strict=True)
            ],
            "seeds needed": findings["seeds_needed"],
        }
    )
    of_nothing = [name for name in ("case", "compared") if not rows[name].astype(bool).any()]
    of_inference = [] if inferred.any() else [interval, "p", "p adjusted", "seeds needed"]
    return Table(
        rows,
        "",
        decimals={"seeds needed": 0},
        significant={"estimate": 3, "p": 2, "p adjusted": 2},
        unshown=[*of_nothing, *of_inference],
    )


def _is_unknown(findings: pd.DataFrame) -> "pd.Series[bool]":
    # What both sides missed was inferred from, although its estimate is no number.
    return findings["estimate"].isna() & findings["seeds"].isna()


def _unknown(findings: pd.DataFrame) -> dict[str, list[str]]:
    """Return the reasons why findings have no number, each with the parts and cases that it is of."""
    reasons: dict[str, list[str]] = {}
    for reason in findings.loc[_is_unknown(findings), "reason"]:
        where, _, obstacle = reason.partition(": ")
        reasons.setdefault(obstacle, []).append(where)
    return reasons


def _each(first: "pd.Series[Any]", second: "pd.Series[Any]", text: Callable[[Any, Any], str]) -> list[str]:
    return [text(*pair) for pair in zip(first, second, strict=True)]


def _compared(labels: Mapping[str, str], subject: str, reference: str) -> str:
    return f"{_labelled(subject, labels)} against {_labelled(reference, labels)}" if subject else ""


def _interval(low: float, high: float) -> str:
    return "–" if math.isnan(low) else f"{low:.3g} to {high:.3g}".replace("inf", "∞")


def _part(part: Evidence) -> str:
    return f"{part.name.replace('_', ' ')}{' (control)' if part.control else ''}"


def _labelled(names: str, labels: Mapping[str, str]) -> str:
    return ", ".join(labels.get(name, name) for name in names.split(", "))


def counts(claims: Sequence[ReportedClaim]) -> dict[Verdict, list[str]]:
    """Return the names of the claims that have each verdict, of all verdicts."""
    return {verdict: [claim.name for claim in claims if claim.verdict is verdict] for verdict in SYMBOLS}


def power(ledger: Ledger, seeds: int, confidence: float) -> str:
    """Return in one sentence what so many seeds can decide.

    Args:
        ledger: The claims and what was found.
        seeds: Seeds of each run.
        confidence: 1 − α, α the level of each one-sided test. Of n seeds a sign test gives no p below 2⁻ⁿ.
    """
    findings = ledger.findings[ledger.findings["seeds"].notna() & ~ledger.findings["control"]]
    if findings.empty:
        return "No verdict of this tier rests on a comparison over seeds."
    undecided = findings[findings["verdict"] == str(Verdict.INCONCLUSIVE)]
    clauses = [f"{_counted(len(findings) - len(undecided), len(findings))} decided"]
    needed = undecided["seeds_needed"].dropna()
    if len(needed):
        middle = needed.median()
        clauses.append(
            "half of the others would take "
            + (f"{middle:.0f} seeds or more" if math.isfinite(middle) else "more seeds than can be counted")
            + " at the spread that was seen"
        )
    least = math.ceil(math.log2(1 / (1 - confidence)) - 1e-9)
    of_medians = any(
        part.statistic == "median" and part.test in INFERRED for claim in ledger.claims for part in claim.evidence
    )
    if of_medians and seeds < least:
        clauses.append(
            f"no comparison of medians can be decided with fewer than {least} seeds, however large the effect"
        )
    said = f"With {seeds} {'seed' if seeds == 1 else 'seeds'} per run {'; '.join(clauses)}"
    return f"{said}; INCONCLUSIVE is no evidence against a claim."


def _counted(some: int, every: int) -> str:
    return f"{some} of {every} comparisons over seeds {'is' if some == 1 else 'are'}"


def _facts(
    findings: pd.DataFrame, verified: bool, runs: Sequence[Sequence[str]], manifests: Sequence[Mapping[str, Any]]
) -> dict[str, str]:
    behind = {tuple(run) for run in runs}
    trained = [each for each in manifests if (each["specification"]["problem"], each["specification"]["run"]) in behind]
    if (findings["verdict"] == str(Verdict.NOT_RUN)).all():
        return {"measured": "nothing"}
    facts = {"data": "verified" if verified else "UNVERIFIED"}
    if not trained:
        return {"trained runs": "none, it is measured without training"} | facts
    seeds = sorted({len(each["seeds"]) for each in trained})
    return {
        "trained runs": str(len(trained)),
        "seeds": " to ".join(str(each) for each in dict.fromkeys((seeds[0], seeds[-1]))),
        "device": ", ".join(sorted({trained_on(each) for each in trained})),
        "wall time of training": f"{sum(each['wall_seconds'] for each in trained):.0f} s",
    } | facts
