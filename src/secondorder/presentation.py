"""What a figure or a table is told besides its numbers."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

if TYPE_CHECKING:
    from secondorder.configuration.models import Configuration


@dataclass(frozen=True)
class Context:
    """What a figure or a table is told besides its numbers.

    Attributes:
        labels: The name to show of each run, those of the studies among them, in the order to show them.
        targets: Target validation accuracy, a share, by problem.
        confidence: Level of the confidence intervals.
        exclusive: Whether runs had the machine for themselves, so that their seconds are comparable.
        optimizers: The optimizer's module of each run.
        reference: The run that ratios compare the others with.
        problem: The problem of a figure that is drawn for each problem; None for others.
        studies: The runs of each study, the run that the others vary first.
        study_labels: The name to show of each study.
        study: The study of a figure that is drawn for each study; None for others.
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


def context_of(configuration: "Configuration", problem: str | None = None, study: str | None = None) -> Context:
    """Return the context of a tier's figures and tables."""
    return Context(
        labels={run: section.label or run for run, section in configuration.all_runs.items()},
        targets={name: section.target_accuracy for name, section in configuration.problems.items()},
        confidence=configuration.statistics.confidence,
        exclusive=configuration.exclusive,
        optimizers={run: section.optimizer for run, section in configuration.all_runs.items()},
        reference=configuration.statistics.reference,
        problem=problem,
        studies={name: [section.varies, *section.runs] for name, section in configuration.studies.items()},
        study_labels={name: section.label for name, section in configuration.studies.items()},
        study=study,
    )


def data_note(seeds: pd.DataFrame) -> str:
    """Return the sentence that results made with unverified data must carry; empty when all data is verified.

    Args:
        seeds: The aggregated table ``seeds``.
    """
    return "" if seeds["data_verified"].all() else "Made with data that fails its published checksums."
