"""A run that is trained in moments, with snapshots, and the data it was trained on."""

import json

import numpy as np
import pytest
from followed_runs import specification

from secondorder.data.dataset import Dataset, FileProvenance, Provenance, channel_statistics
from secondorder.data.storage import save_dataset
from secondorder.training.layout import MANIFEST, SNAPSHOTS
from secondorder.training.run import train_run
from secondorder.validation.trained import collect_trained

COUNTS = {"train": 120, "validation": 30, "test": 30}


class Silent:
    """Takes the progress of a job and shows nothing."""

    def line(self, text):
        pass

    def share(self, done):
        pass


@pytest.fixture(scope="session")
def dataset():
    generator = np.random.default_rng(0)
    splits = {}
    for split, count in COUNTS.items():
        labels = (np.arange(count) % 10).astype(np.uint8)
        images = generator.integers(0, 120, size=(count, 1, 28, 28), dtype=np.uint8)
        for image, label in zip(images, labels, strict=True):
            image[0, 4 + 2 * label : 6 + 2 * label] += 120
        splits |= {f"{split}_images": images, f"{split}_labels": labels}
    mean, std = channel_statistics(splits["train_images"])
    provenance = Provenance((FileProvenance("none", 0, "", "", verified=True, source="cache"),), "none")
    return Dataset(
        name="synthetic", **splits, mean=mean, std=std, class_names=tuple("0123456789"), provenance=provenance
    )


@pytest.fixture
def trained(tmp_path, dataset):
    """Train runs; return them as the stage reads them."""

    def train(*specifications):
        save_dataset(dataset, tmp_path / "data.npz", tmp_path / "data.json")
        files = []
        for chosen in specifications or [specification()]:
            folder = tmp_path / chosen.run
            if not (folder / MANIFEST).exists():
                train_run(chosen, dataset, folder, tmp_path / "checkpoints" / chosen.run, Silent())
            files += [str(folder / SNAPSHOTS), str(folder / MANIFEST)]
        told = [chosen.to_mapping() for chosen in specifications or [specification()]]
        return collect_trained(json.loads(json.dumps(told)), files, tmp_path / "data.json")

    return train
