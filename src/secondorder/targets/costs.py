"""What targets cost: the seconds of their jobs, from the files in which Snakemake measured them.

A job that was not measured is said to be so and never counts as 0.
"""

import csv
import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from secondorder.errors import ResultError
from secondorder.targets.graph import JobGraph


@dataclass(frozen=True)
class Cost:
    """What some jobs cost, one after the other.

    Attributes:
        seconds: Sum over the jobs that were measured.
        jobs: How many jobs there are.
        unmeasured: The jobs that were not measured, in the order of their names.
    """

    seconds: float
    jobs: int
    unmeasured: tuple[str, ...]

    @property
    def text(self) -> str:
        """The seconds; a lower bound where some job was not measured, and no number where none was."""
        if len(self.unmeasured) == self.jobs:
            return "not measured"
        return f"{'at least ' if self.unmeasured else ''}{self.seconds:,.1f}"


@dataclass(frozen=True)
class TargetCost:
    """What a target costs.

    Attributes:
        last: The jobs that make its own files.
        whole: All jobs that it needs when nothing has been made, those among them.
    """

    last: Cost
    whole: Cost


def cost_of(jobs: Collection[str], seconds: Mapping[str, float]) -> Cost:
    """Return what jobs cost.

    Args:
        jobs: Their names.
        seconds: Seconds of each job that was measured, by name.
    """
    # Rounded once, so that the order of the jobs, which no set has, decides no digit.
    measured = math.fsum(seconds[job] for job in jobs if job in seconds)
    return Cost(measured, len(jobs), tuple(sorted(job for job in jobs if job not in seconds)))


def target_cost(graph: JobGraph, seconds: Mapping[str, float], target: str) -> TargetCost:
    """Return what a target costs that itself only gathers files.

    Args:
        graph: The jobs of the workflow and the target.
        seconds: Seconds of each job that was measured, by name.
        target: Its name.

    Raises:
        InputError: The graph has no such target.
    """
    return TargetCost(cost_of(graph.direct(target), seconds), cost_of(graph.needed(target), seconds))


def read_benchmarks(folders: Iterable[Path]) -> dict[str, float]:
    """Return the seconds of each job that was measured.

    The path of a job's file below its folder is the job's name, cut anywhere: ``track_spectrum/mnist_mlp.tsv`` is of
    ``track_spectrum_mnist_mlp``.

    Args:
        folders: Where the files lie; one that is missing holds none.

    Raises:
        ResultError: A file is no measurement of Snakemake's.
    """
    return {
        path.relative_to(folder).with_suffix("").as_posix().replace("/", "_"): _seconds(path)
        for folder in folders
        for path in sorted(folder.rglob("*.tsv"))
    }


def _seconds(path: Path) -> float:
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            (row,) = csv.DictReader(stream, delimiter="\t")
        return float(row["s"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ResultError(
            f"{path}: cannot be read as a measurement of one job ({error}); delete it, and its job is not measured"
        ) from None
