"""What became of runs that were computed again: their verdicts, as lines, as JSON and as a page."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Literal

from secondorder.errors import ResultError
from secondorder.files import write_text

Verdict = Literal["bitwise equal", "statistically equal", "different"]

CRITERION = (
    "Bitwise equal: every number of every step, evaluation and snapshot is the same. Statistically equal: some is not, "
    "but every seed ended alike, and no metric of an evaluation or of the test images moved by more than two seeds of "
    "the original are apart: t s √2, so that runs which differ as seeds do pass with probability {confidence:g} or "
    "more. Different: everything else, and results that do not belong to the configuration, code or data, or were "
    "changed."
)


@dataclass(frozen=True)
class Verification:
    """What became of one run that was computed again.

    Attributes:
        problem: The problem.
        run: The run.
        seeds: The seeds that were computed again.
        verdict: ``bitwise equal``, ``statistically equal`` or ``different``.
        cause: The first field of the manifests that differs and may be the reason; None where there is none.
        place: Where the numbers differ first; None where they do not.
        reason: Why the verdict is ``different``; None otherwise.
    """

    problem: str
    run: str
    seeds: tuple[int, ...]
    verdict: Verdict
    cause: str | None = None
    place: str | None = None
    reason: str | None = None

    @property
    def line(self) -> str:
        """All of it in one line."""
        seeds = f"seed{'s' if len(self.seeds) > 1 else ''} {', '.join(map(str, self.seeds))}"
        parts = [f"{self.problem}/{self.run} ({seeds}): {self.verdict}"]
        if self.reason:
            parts.append(self.reason)
        if self.place:
            cause = f"first differing field: {self.cause}" if self.cause else "the manifests name no cause"
            parts += [f"first at {self.place}", cause]
        return "; ".join(parts)


def write_verifications(verifications: Sequence[Verification], confidence: float, record: Path, page: Path) -> None:
    """Write what became of all runs as JSON, and as a Markdown table with the criterion below."""
    content = {"criterion": CRITERION.format(confidence=confidence), "runs": [asdict(each) for each in verifications]}
    write_text(record, json.dumps(content, indent=2) + "\n")
    names = [field.name for field in fields(Verification)]
    rows = [names, ["---"] * len(names), *(_cells(each) for each in verifications)]
    table = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    write_text(page, f"{table}\n\n{content['criterion']}\n")


def _cells(verification: Verification) -> list[str]:
    values = {**asdict(verification), "seeds": ", ".join(map(str, verification.seeds))}
    return [(value or "").replace("|", r"\|") for value in values.values()]


def read_verifications(record: Path) -> list[Verification]:
    """Read what :func:`write_verifications` wrote as JSON.

    Raises:
        ResultError: It cannot be read.
    """
    try:
        runs = json.loads(record.read_text(encoding="utf-8"))["runs"]
        return [Verification(**{**run, "seeds": tuple(run["seeds"])}) for run in runs]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ResultError(f"{record}: cannot be read as verifications ({error}); delete it and run again") from None


def require_no_difference(verifications: Sequence[Verification]) -> None:
    """Refuse results of which a run is different when it is computed again.

    Raises:
        ResultError: Naming these runs.
    """
    different = [f"{each.problem}/{each.run}" for each in verifications if each.verdict == "different"]
    if different:
        raise ResultError(
            f"{len(different)} of {len(verifications)} runs are different when they are computed again: "
            f"{', '.join(different)}; the lines above say where"
        )
