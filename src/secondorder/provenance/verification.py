"""Verification: some runs computed again, beside the originals, and compared with them."""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd
from numpy.typing import NDArray

from secondorder.data.dataset import Dataset
from secondorder.errors import ResultError
from secondorder.provenance.comparison import compare_manifests
from secondorder.provenance.manifest import read_manifest
from secondorder.provenance.metric_comparison import (
    first_array_difference,
    first_beyond_seeds,
    first_metric_difference,
)
from secondorder.provenance.verification_record import Verification
from secondorder.statistics.collection import ExpectedRun, checked_manifest
from secondorder.training.layout import MANIFEST, METRICS, SNAPSHOTS
from secondorder.training.progress import Listener
from secondorder.training.run import train_run
from secondorder.training.snapshots import list_snapshots, load_snapshot
from secondorder.training.specification import RunSpecification


@dataclass(frozen=True)
class Execution:
    """What one execution of a run left.

    Attributes:
        manifest: Its manifest.
        metrics: The rows of its metrics file.
        snapshots: The weights it kept, by seed, share of the budget and parameter.
    """

    manifest: Mapping[str, Any]
    metrics: pd.DataFrame
    snapshots: Mapping[tuple[int, float, str], NDArray[Any]]


def judge(original: Execution, recomputed: Execution, confidence: float) -> Verification:
    """Return how alike a run and its recomputation are.

    Args:
        original: The run, with all of its seeds.
        recomputed: The same run computed again, with some of them.
        confidence: Of the limit of what counts as statistically equal; see :func:`first_beyond_seeds`.
    """
    specification = recomputed.manifest["specification"]
    seeds = tuple(specification["seeds"])
    verified = _of_seeds(original, seeds)
    named = Verification(specification["problem"], specification["run"], seeds, "bitwise equal")
    place = first_metric_difference(verified.metrics, recomputed.metrics)
    if place is None and (array := first_array_difference(verified.snapshots, recomputed.snapshots)):
        seed, share, parameter = array
        place = f"seed {seed}, snapshot at {share:g} of the budget, {parameter}"
    cause = compare_manifests(verified.manifest, recomputed.manifest, causes_alone=True)
    ends, ends_again = _ends(verified.manifest), _ends(recomputed.manifest)
    if place is None and ends == ends_again:
        return named
    found = replace(named, verdict="different", cause=str(cause) if cause else None, place=place)
    for seed in seeds:
        if ends[seed][0] != ends_again[seed][0]:
            return replace(found, reason=f"seed {seed} {ends[seed][0]}, and now {ends_again[seed][0]}")
    finished = [seed for seed, (status, _) in _ends(original.manifest).items() if status == "finished"]
    reason = first_beyond_seeds(original.metrics, recomputed.metrics, finished, confidence)
    return replace(found, reason=reason, verdict="different" if reason else "statistically equal")


def _of_seeds(execution: Execution, seeds: Sequence[int]) -> Execution:
    """Return what an execution left of some of its seeds."""
    manifest = {
        **execution.manifest,
        "specification": {**execution.manifest["specification"], "seeds": list(seeds)},
        "seeds": [entry for entry in execution.manifest["seeds"] if entry["seed"] in seeds],
    }
    rows = execution.metrics[execution.metrics["seed"].isin(seeds)].reset_index(drop=True)
    snapshots = {key: array for key, array in execution.snapshots.items() if key[0] in seeds}
    return Execution(manifest, rows, snapshots)


def _ends(manifest: Mapping[str, Any]) -> dict[int, tuple[str, int | None]]:
    return {entry["seed"]: (entry["status"], entry["diverged_at_step"]) for entry in manifest["seeds"]}


def read_execution(folder: Path) -> Execution:
    """Read what an execution of a run left in its folder.

    Raises:
        ResultError: A file cannot be read.
    """
    snapshots = {
        (moment.seed, moment.share, name): weights.numpy()
        for moment in list_snapshots(folder / SNAPSHOTS)
        for name, weights in load_snapshot(folder / SNAPSHOTS, moment.seed, moment.share).items()
    }
    return Execution(read_manifest(folder / MANIFEST), pd.read_parquet(folder / METRICS), snapshots)


def verify_run(
    specification: RunSpecification,
    expected: ExpectedRun,
    dataset: Dataset,
    output: Path,
    seeds: int,
    confidence: float,
    progress: Listener,
) -> Verification:
    """Compute the first seeds of a run again, and compare them with what is there.

    A result that does not belong to the specification, code or data, or whose files were changed since, is different
    without being computed again.

    Args:
        specification: The run.
        expected: What its result must say of itself, and where it lies.
        dataset: The prepared dataset it names.
        output: Folder for the recomputed run.
        seeds: How many seeds.
        confidence: See :func:`judge`.
        progress: Takes lines and shares of the budget.
    """
    some = replace(specification, seeds=specification.seeds[:seeds])
    try:
        checked_manifest(expected)
    except ResultError as error:
        return Verification(some.problem, some.run, some.seeds, "different", reason=str(error))
    checkpoints = output / "checkpoints"
    train_run(some, dataset, output, checkpoints, progress)
    # The next verification computes everything again.
    shutil.rmtree(checkpoints)
    return judge(read_execution(expected.folder), read_execution(output), confidence)
