"""Trained networks, as their runs' snapshots hold them."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from secondorder.data.dataset import Dataset
from secondorder.errors import ResultError
from secondorder.problems.problem import Loss, Problem
from secondorder.statistics.collection import checked_manifest, expected_runs
from secondorder.training.batches import evenly_spaced
from secondorder.training.layout import SNAPSHOTS
from secondorder.training.networks import build_problem, rebuild_network
from secondorder.training.snapshots import list_snapshots, load_snapshot
from secondorder.training.specification import RunSpecification
from secondorder.validation.networks import training_samples


@dataclass(frozen=True)
class TrainedNetwork:
    """A network at one moment of its training.

    Attributes:
        names: Problem, run, seed, share (of the budget, as asked for) and spent (as it was), by name.
        model: The network in evaluation mode, in the precision it was trained in.
        problem: What it was trained on.
    """

    names: Mapping[str, Any]
    model: nn.Module
    problem: Problem

    @property
    def loss(self) -> Loss:
        """The problem's loss, without the penalty."""
        return self.problem.loss


@dataclass(frozen=True)
class TrainedRun:
    """The snapshots of one run.

    Attributes:
        specification: The run.
        path: The file of its snapshots.
        statuses: ``finished`` or ``diverged`` by seed.
    """

    specification: RunSpecification
    path: Path
    statuses: Mapping[int, str]

    @property
    def names(self) -> dict[str, Any]:
        """Problem and run by name."""
        return {"problem": self.specification.problem, "run": self.specification.run}

    def networks(self, seed: int) -> Iterator[TrainedNetwork]:
        """Yield a seed's networks in the order of the training, as far as it got."""
        problem = build_problem(self.specification)
        for moment in list_snapshots(self.path):
            if moment.seed == seed:
                model = rebuild_network(self.specification, load_snapshot(self.path, seed, moment.share))
                names = {**self.names, "seed": seed, "share": moment.share, "spent": moment.spent}
                yield TrainedNetwork(names, model, problem)


def collect_trained(
    specifications: Sequence[Mapping[str, Any]], files: Sequence[str], data_manifest: Path
) -> list[TrainedRun]:
    """Return runs whose results are those that are asked for.

    Args:
        specifications: What each run was told, as :meth:`RunSpecification.to_mapping` writes it, all on one dataset.
        files: Paths of their files, run after run in the same order.
        data_manifest: The manifest of the prepared dataset.

    Raises:
        ResultError: A result was made with other settings, code or data, or was changed since.
    """
    told = [RunSpecification.from_mapping(values) for values in specifications]
    folders = [Path(path).parent for path in files if Path(path).name == SNAPSHOTS]
    expected = expected_runs(told, folders, [data_manifest])
    return [
        TrainedRun(
            specification,
            run.folder / SNAPSHOTS,
            {seed["seed"]: seed["status"] for seed in checked_manifest(run)["seeds"]},
        )
        for specification, run in zip(told, expected, strict=True)
    ]


def networks_of(runs: Iterable[TrainedRun], seeds: int = 1) -> Iterator[TrainedNetwork]:
    """Yield the networks of each run's first seeds, run after run."""
    for run in runs:
        for seed in run.specification.seeds[:seeds]:
            yield from run.networks(seed)


def first_network(networks: Iterable[TrainedNetwork]) -> TrainedNetwork:
    """Return the first of networks.

    Raises:
        ResultError: There is none, because every run that is followed diverged before its first snapshot.
    """
    for network in networks:
        return network
    raise ResultError(
        "no run that is followed left a network to look at; look whether all diverged, or add an earlier share to "
        "`snapshots`"
    )


@dataclass(frozen=True)
class Probe:
    """Training samples that a curvature is taken of.

    Attributes:
        kind: ``sample`` or ``batch``.
        index: Its number among those of its kind.
        inputs: Images as training sees them but not augmented, float64.
        targets: Their targets.
    """

    kind: str
    index: int
    inputs: torch.Tensor
    targets: torch.Tensor


def probes(dataset: Dataset, samples: int, batches: int, batch_size: int, *, reconstruct: bool = False) -> list[Probe]:
    """Return single samples and joint mini-batches, each evenly spaced over the training split.

    Args:
        dataset: The data.
        samples: Single samples.
        batches: Mini-batches.
        batch_size: Samples in each.
        reconstruct: Whether the images are their own targets; see :meth:`DeviceSplit.examples`.
    """
    total = len(dataset.train_labels)
    images, targets = training_samples(dataset, evenly_spaced(samples, total), reconstruct=reconstruct)
    single = [
        Probe("sample", index, images[index : index + 1], targets[index : index + 1]) for index in range(len(targets))
    ]
    chosen = evenly_spaced(batches * batch_size, total)
    images, targets = training_samples(dataset, chosen, reconstruct=reconstruct)
    # Every batch spans the split: batch i takes every `batches`-th image from the i-th on.
    joint = [Probe("batch", index, images[index::batches], targets[index::batches]) for index in range(batches)]
    return single + joint
