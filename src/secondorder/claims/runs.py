"""The trained runs that the evidence of a claim comes from."""

from collections.abc import Sequence
from typing import Any

from secondorder.claims.models import Claim, Evidence
from secondorder.configuration import resolution
from secondorder.configuration.models import Configuration
from secondorder.statistics.names import AGGREGATED
from secondorder.validation.names import OF_PROBLEM


def runs_behind(claim: Claim, configuration: Configuration) -> list[tuple[str, str]]:
    """Return problem and name of the trained runs whose results a claim is judged by; none where it needs no training.

    Where runs are compared, a problem counts that trains runs of both sides.

    Args:
        claim: The claim.
        configuration: The tier's configuration.
    """
    return list(dict.fromkeys(run for part in claim.evidence for run in _of_part(part, configuration)))


def _of_part(part: Evidence, configuration: Configuration) -> list[tuple[str, str]]:
    if part.table not in (*AGGREGATED, *OF_PROBLEM):
        return []
    made = resolution.problems_with(configuration, part.table)
    problems = list(configuration.all_problems) if part.effect == "rank_change" else made
    trained = resolution.followed_runs if part.table in OF_PROBLEM else resolution.runs_of
    runs: list[tuple[str, str]] = []
    for problem in _kept(problems, part.where.get("problem")):
        here = _kept(trained(configuration, problem), part.where.get("run"))
        if part.compared and part.compared.column == "run":
            sides = [[run for run in here if run in side] for side in (part.compared.of, part.compared.against)]
            here = [run for side in sides for run in side] if all(sides) else []
        runs += [(problem, run) for run in here]
    return runs


def _kept(names: Sequence[str], wanted: Any) -> list[str]:
    if wanted is None:
        return list(names)
    return [name for name in names if name in (wanted if isinstance(wanted, list) else [wanted])]
