"""One training job: all seeds of one run, from a specification and prepared data to four files."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from secondorder import optim, problems
from secondorder.data.dataset import Dataset
from secondorder.data.storage import dataset_digest
from secondorder.errors import DataError
from secondorder.files import file_digest, hold_folders
from secondorder.optim.protocol import Optimizer
from secondorder.provenance.code import combined_digest, training_code
from secondorder.provenance.manifest import commit, environment, machine, write_manifest
from secondorder.settings import settings_from
from secondorder.training.device import device_name, make_deterministic, resolve_device
from secondorder.training.layout import MANIFEST, METRICS, SNAPSHOTS, TIMING, VOUCHED_FOR
from secondorder.training.progress import Listener
from secondorder.training.recorder import write_tables
from secondorder.training.seed import SeedTraining, Splits
from secondorder.training.snapshots import write_snapshots
from secondorder.training.specification import RunSpecification


def train_run(
    specification: RunSpecification, dataset: Dataset, output: Path, checkpoints: Path, progress: Listener
) -> None:
    """Train every seed of a run and write its metrics, timing, snapshots and manifest.

    Each seed leaves a checkpoint per epoch, so that the same call after an interruption goes on where it was, and gives
    the same metrics bit for bit. The manifest is written last: where it is, the result is whole.

    Args:
        specification: The run.
        dataset: The prepared dataset it names.
        output: Folder for the four files.
        checkpoints: Folder for one checkpoint file per seed.
        progress: Takes lines and shares of the budget.

    Raises:
        DataError: The dataset is not the one named, or too small for the batch size.
        ConfigurationError: The specification names something that does not exist here.
    """
    _check(specification, dataset)
    problem_module = problems.load(specification.problem_module)
    optimizer_module = optim.load(specification.optimizer)
    problem = problem_module.build(settings_from(problem_module.Settings, specification.problem_settings))
    optimizer_settings = settings_from(optimizer_module.Settings, specification.optimizer_settings)
    determinism = make_deterministic(specification.threads)
    device = resolve_device(specification.device)
    splits = Splits.of(dataset, device)
    optimizers = optim.used(specification.optimizer, specification.optimizer_settings)
    code = training_code(specification.problem_module, *optimizers)
    data_sha256 = dataset_digest(dataset)

    def build_optimizer(parameters: list[torch.nn.Parameter]) -> Optimizer:
        built: Optimizer = optimizer_module.build(parameters, optimizer_settings)
        return built

    identity = _identity(specification, data_sha256, code, device)
    with hold_folders((output, checkpoints), progress.line):
        (output / MANIFEST).unlink(missing_ok=True)
        results = []
        for position, seed in enumerate(specification.seeds):
            training = SeedTraining(specification, seed, problem, build_optimizer, splits, device)
            advance = _share(progress, position, specification)
            results.append(training.train(checkpoints / f"seed_{seed}.pt", identity, progress.line, advance))
        write_tables((result.metrics for result in results), output / METRICS)
        write_tables((result.timing for result in results), output / TIMING)
        write_snapshots((result.snapshots for result in results), output / SNAPSHOTS)
        write_manifest(
            output / MANIFEST,
            {
                "specification": specification.to_mapping(),
                "seeds": [result.summary() for result in results],
                "code": {"digest": combined_digest(code), "files": code},
                "data": {"name": dataset.name, "sha256": data_sha256, "verified": dataset.provenance.verified},
                "determinism": determinism,
                "device": {"type": device.type, "name": device_name(device)},
                "environment": environment(),
                "machine": machine(),
                "commit": commit(),
                "wall_seconds": round(sum(result.wall_seconds for result in results), 3),
                "files": {name: file_digest(output / name) for name in VOUCHED_FOR},
            },
        )


def _check(specification: RunSpecification, dataset: Dataset) -> None:
    if dataset.name != specification.dataset:
        raise DataError(f"the run needs the dataset {specification.dataset!r} and was given {dataset.name!r}")
    images = len(dataset.train_labels)
    largest = max(specification.batch_size, specification.unit_batch_size)
    if images < largest:
        raise DataError(
            f"{specification.problem}/{specification.run} has batches of {largest} and {dataset.name} {images} "
            "training images; give a smaller batch_size"
        )


def _identity(specification: RunSpecification, data_sha256: str, code: dict[str, str], device: torch.device) -> str:
    deciding: dict[str, Any] = {
        "experiment": specification.experiment(),
        "log_every": specification.log_every,
        "snapshots": specification.snapshots,
        "threads": specification.threads,
        "device": device_name(device),
        "torch": torch.__version__,
        "data": data_sha256,
        "code": combined_digest(code),
    }
    return json.dumps(deciding, sort_keys=True)


def _share(progress: Listener, position: int, specification: RunSpecification) -> Callable[[float], None]:
    def advance(spent: float) -> None:
        progress.share((position + min(spent, 1.0)) / len(specification.seeds))

    return advance
