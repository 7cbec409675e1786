"""What the tests of training share: small runs, where they are kept, and interruptions."""

from dataclasses import dataclass, field
from pathlib import Path

import pyarrow.parquet as pq

from secondorder.training.run import train_run
from secondorder.training.specification import RunSpecification

TRAIN_IMAGES = 120
EPOCH_WORK = 4  # gradient-equivalents in an epoch of the specification below


class InterruptionError(Exception):
    """Stands for whatever ends a job before its time."""


def specification(**changes):
    values = {
        "problem": "tiny",
        "problem_module": "mnist_mlp",
        "dataset": "synthetic",
        "run": "tested",
        "optimizer": "sgd",
        "optimizer_settings": {"learning_rate": 0.05, "momentum": 0.5},
        "batch_size": 30,
        "unit_batch_size": 30,
        "budget_epochs": 3,
        "seeds": (0,),
        "device": "cpu",
    }
    if changes.get("optimizer", "sgd") != "sgd":
        values["optimizer_settings"] = {}
    return RunSpecification(**{**values, **changes})


@dataclass
class Listener:
    """Takes the place of the progress display: keeps the lines, and interrupts at one of them when told to."""

    interrupt_at: int | None = None
    lines: list[str] = field(default_factory=list)
    shares: list[float] = field(default_factory=list)

    def line(self, text):
        self.lines.append(text)
        if len(self.lines) == self.interrupt_at:
            raise InterruptionError

    def share(self, done):
        self.shares.append(done)


@dataclass(frozen=True)
class Run:
    """A run in a folder of its own."""

    folder: Path

    @property
    def checkpoints(self):
        return self.folder / "checkpoints"

    def train(self, dataset, chosen, listener=None):
        listener = listener or Listener()
        train_run(chosen, dataset, self.folder / "results", self.checkpoints, listener)
        return listener

    def file(self, name):
        return self.folder / "results" / f"{name}"

    def metrics_bytes(self):
        return self.file("metrics.parquet").read_bytes()

    def rows(self, name="metrics.parquet", **having):
        rows = pq.read_table(self.file(name)).to_pylist()
        return [row for row in rows if all(row[column] == value for column, value in having.items())]

    def values(self, metric, **having):
        return [row["value"] for row in self.rows(metric=metric, **having)]
