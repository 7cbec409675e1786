"""What one training job is told: a resolved run, in plain values that travel as JSON."""

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from secondorder.errors import ConfigurationError

_LISTS = ("seeds", "snapshots")


@dataclass(frozen=True)
class RunSpecification:
    """One run on one problem, everything resolved.

    The fields that define the experiment come first; ``threads`` and ``device`` say how it is executed. They change
    the rounding of the results, and on a GPU the dropout masks, so results of another device are the same experiment
    and other bits. ``snapshots`` says what is kept of it.

    Attributes:
        problem: Name of the problem in the configuration.
        problem_module: Module under ``secondorder.problems`` that builds it.
        problem_settings: All settings of that module.
        dataset: Name of the dataset.
        run: Name of the run in the configuration.
        optimizer: Module under ``secondorder.optim``.
        optimizer_settings: All settings of that module.
        batch_size: Samples in a mini-batch of this run.
        unit_batch_size: Samples in one gradient-equivalent: the problem's batch size.
        budget_epochs: Budget, as the number of epochs that it pays for at one gradient per sample.
        schedule: Fields of :class:`~secondorder.training.schedules.Schedule`.
        seeds: Seeds to train, one after the other.
        training_samples: Training images, evenly spaced, of which each evaluation takes the training loss; all where
            there are fewer.
        evaluate_test: Whether the test images are looked at, once, at the end; trials of a search do not see them.
        threads: CPU threads.
        device: ``auto``, ``cpu`` or ``cuda``.
        log_every: Steps between two readings of the device (losses, clock).
        snapshots: Shares of the budget, ascending, at which the network's weights are kept.
    """

    problem: str
    problem_module: str
    dataset: str
    run: str
    optimizer: str
    batch_size: int
    unit_batch_size: int
    budget_epochs: float
    seeds: tuple[int, ...]
    problem_settings: Mapping[str, Any] = field(default_factory=dict)
    optimizer_settings: Mapping[str, Any] = field(default_factory=dict)
    schedule: Mapping[str, Any] = field(default_factory=lambda: {"kind": "constant"})
    training_samples: int = 10_000
    evaluate_test: bool = True
    threads: int = 1
    device: str = "auto"
    log_every: int = 1
    snapshots: tuple[float, ...] = ()

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> "RunSpecification":
        """Return the specification held in ``values``, as :meth:`to_mapping` wrote it.

        Raises:
            ConfigurationError: A field is unknown or missing, or there are no seeds.
        """
        try:
            made = cls(**{**values, **{name: tuple(values[name]) for name in _LISTS if name in values}})
        except TypeError as error:
            raise ConfigurationError(f"not a run specification: {error}; make one with `secondorder resolve`") from None
        if not made.seeds:
            raise ConfigurationError("not a run specification: it has no seeds; give at least one")
        return made

    @classmethod
    def from_file(cls, path: Path) -> "RunSpecification":
        """Read a specification from a JSON file."""
        try:
            return cls.from_mapping(json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError) as error:
            raise ConfigurationError(f"{path}: cannot be read as a run specification: {error}") from None

    def to_mapping(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {**dataclasses.asdict(self), **{name: list(getattr(self, name)) for name in _LISTS}}

    def experiment(self) -> dict[str, Any]:
        """Return the fields that define the experiment: all but the seeds and how it is executed."""
        execution = {"seeds", "threads", "device", "log_every", "snapshots"}
        return {name: value for name, value in self.to_mapping().items() if name not in execution}
