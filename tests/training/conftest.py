"""A dataset that is learnt in moments."""

import numpy as np
import pytest
from training_support import TRAIN_IMAGES, Run

from secondorder.data.dataset import Dataset, FileProvenance, Provenance, channel_statistics


def digits(count, generator):
    """Noise with a bright bar, whose height in the image is the label."""
    labels = (np.arange(count) % 10).astype(np.uint8)
    images = generator.integers(0, 120, size=(count, 1, 28, 28), dtype=np.uint8)
    for image, label in zip(images, labels, strict=True):
        image[0, 4 + 2 * label : 6 + 2 * label] += 120
    return images, labels


@pytest.fixture(scope="session")
def dataset():
    generator = np.random.default_rng(0)
    splits = {split: digits(n, generator) for split, n in (("train", TRAIN_IMAGES), ("validation", 40), ("test", 50))}
    mean, std = channel_statistics(splits["train"][0])
    return Dataset(
        name="synthetic",
        **{f"{split}_images": images for split, (images, _) in splits.items()},
        **{f"{split}_labels": labels for split, (_, labels) in splits.items()},
        mean=mean,
        std=std,
        class_names=tuple("0123456789"),
        provenance=Provenance((FileProvenance("none", 0, "", "", verified=True, source="cache"),), "none"),
    )


@pytest.fixture
def run(tmp_path):
    return Run(tmp_path / "run")


@pytest.fixture
def other_run(tmp_path):
    return Run(tmp_path / "other")
