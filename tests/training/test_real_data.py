"""Training on the original data, where SECONDORDER_DATA names a folder that holds it."""

import os
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from secondorder.configuration.loading import load_configuration
from secondorder.configuration.resolution import run_specification
from secondorder.data.datasets import prepare_dataset
from secondorder.data.drop_in import drop_in_candidates
from secondorder.data.layout import drop_in_folder
from secondorder.data.registry import registered_files
from secondorder.training.progress import Progress
from secondorder.training.run import train_run

CONFIG = Path(__file__).resolve().parents[2] / "config"


def is_at_hand(files: str) -> bool:
    """Return whether the drop-in folder holds all registered files of this name."""
    folder = drop_in_folder()
    return folder is not None and all(drop_in_candidates(file, folder) for file in registered_files(files))


def final_values(tmp_path: Path, problem: str, overrides: dict[str, object], metric: str) -> list[float]:
    """Train Adam on a problem of the tier ``reduced`` and return a metric's values."""
    configuration = load_configuration({"tier": "reduced", "threads": os.cpu_count() or 1, **overrides}, CONFIG)
    specification = run_specification(configuration, problem, "adam")
    dataset = prepare_dataset(specification.dataset, tmp_path, drop_in_folder(), True, lambda line: None)
    with Progress(problem) as progress:
        train_run(specification, dataset, tmp_path / "run", tmp_path / "checkpoints", progress)
    rows = pq.read_table(tmp_path / "run" / "metrics.parquet").to_pylist()
    return [row["value"] for row in rows if row["metric"] == metric]


@pytest.mark.skipif(not is_at_hand("mnist"), reason="no folder with the original MNIST files")
def test_adam_reaches_97_5_percent_on_mnist_in_ten_epochs(tmp_path: Path) -> None:
    overrides = {"seeds": 3, "problems": {"mnist_mlp": {"budget_epochs": 10}}}
    accuracies = final_values(tmp_path, "mnist_mlp", overrides, "test_accuracy")
    assert len(accuracies) == 3
    assert min(accuracies) >= 0.975


@pytest.mark.skipif(not is_at_hand("cifar10_batches"), reason="no folder with the batches of CIFAR-10")
def test_3c3d_learns_from_one_epoch_of_cifar10(tmp_path: Path) -> None:
    overrides = {"seeds": 1, "problems": {"cifar10_3c3d": {"budget_epochs": 1}}}
    before, after = final_values(tmp_path, "cifar10_3c3d", overrides, "training_loss")
    assert after < before - 0.3
