"""What a figure or a table is told besides its numbers."""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from secondorder.families import FamilyName
from secondorder.metric import MetricDescription


@dataclass(frozen=True)
class Context:
    """What a figure or a table is told besides its numbers.

    Attributes:
        labels: The name to show of each run, those of the studies among them, in the order to show them.
        targets: Target value of the validation metric by problem.
        confidence: Level of the confidence intervals.
        exclusive: Whether runs had the machine for themselves, so that their seconds are comparable.
        optimizers: The optimizer's module of each run.
        reference: The run that ratios compare the others with.
        problem: The problem of a figure that is drawn for each problem; None for others.
        studies: The runs of each study, the run that the others vary first.
        study_labels: The name to show of each study.
        study: The study of a figure that is drawn for each study; None for others.
        metrics: What networks are judged by, in plain values, by problem.
        families: The family of methods of each run.
        left_out: The runs that a problem leaves out, because they cannot treat it or are too dear, by problem.
        conditions: By problem that has conditions, the names to show of it and of the problems of its conditions.
        condition_references: By problem that has conditions, the one of these that the others are compared with.
        transfers: By problem on which runs take settings that were tuned elsewhere, where these come from.
        kept: The sentence that says which kept metrics are shown; empty where the tier's own are.
    """

    labels: Mapping[str, str]
    targets: Mapping[str, float]
    confidence: float
    exclusive: bool
    optimizers: Mapping[str, str] = dataclasses.field(default_factory=dict)
    reference: str = "sgd"
    problem: str | None = None
    studies: Mapping[str, Sequence[str]] = dataclasses.field(default_factory=dict)
    study_labels: Mapping[str, str] = dataclasses.field(default_factory=dict)
    study: str | None = None
    metrics: Mapping[str, Mapping[str, Any]] = dataclasses.field(default_factory=dict)
    families: Mapping[str, FamilyName] = dataclasses.field(default_factory=dict)
    left_out: Mapping[str, Sequence[str]] = dataclasses.field(default_factory=dict)
    conditions: Mapping[str, Mapping[str, str]] = dataclasses.field(default_factory=dict)
    condition_references: Mapping[str, str] = dataclasses.field(default_factory=dict)
    transfers: Mapping[str, str] = dataclasses.field(default_factory=dict)
    kept: str = ""

    def metric(self, problem: str) -> MetricDescription:
        """Return what networks are judged by on a problem."""
        return MetricDescription(**self.metrics[problem])

    @property
    def main_runs(self) -> list[str]:
        """The runs that belong to no study. Their order fixes each one's colour and marker."""
        return [run for run in self.labels if run not in self._variants]

    def of_main_runs(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Return the rows of the runs that belong to no study."""
        return rows[~rows["run"].isin(self._variants)]

    @property
    def _variants(self) -> set[str]:
        return {run for _, *others in self.studies.values() for run in others}

    def to_mapping(self) -> dict[str, Any]:
        """Return plain values, from which ``Context(**values)`` makes it again."""
        return dataclasses.asdict(self)


def transfer_note(context: Context, problems: Iterable[str]) -> str:
    """Return the sentence that results with settings tuned elsewhere must carry; empty when there are none.

    Args:
        context: Says where settings come from.
        problems: The problems that are shown.
    """
    shown = list(dict.fromkeys(problems))
    by_source: dict[str, list[str]] = {}
    for problem in shown:
        if problem in context.transfers:
            by_source.setdefault(context.transfers[problem], []).append(problem)
    sentences = []
    for source, taking in by_source.items():
        where = "" if len(taking) == len(shown) else f"On {', '.join(taking)}: "
        sentences.append(f"{where}settings transferred from {source}.")
    return " ".join(sentence[0].upper() + sentence[1:] for sentence in sentences)


def origin_note(context: Context, problems: Iterable[str]) -> str:
    """Return the sentences on where settings and metrics come from, where that is not the tier itself.

    Args:
        context: Says where they come from.
        problems: The problems that are shown.
    """
    return f"{transfer_note(context, problems)} {context.kept}".strip()


def data_note(seeds: pd.DataFrame) -> str:
    """Return the sentence that results made with unverified data must carry; empty when all data is verified.

    Args:
        seeds: The aggregated table ``seeds``.
    """
    return "" if seeds["data_verified"].all() else "Made with data that fails its published checksums."
