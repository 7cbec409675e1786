"""A data set in memory, with the record of where it came from."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SPLITS = ("train", "validation", "test")


@dataclass(frozen=True)
class FileProvenance:
    """Where one file of a data set came from, in terms that mean the same on every machine.

    Attributes:
        name: The file's name.
        bytes: Its size.
        sha256: Its SHA-256 sum as found.
        expected: The registered checksum as ``algorithm:digits``.
        verified: Whether the file has it.
        source: ``cache``, ``drop-in``, ``package`` or the address that it was downloaded from; never a local path.
    """

    name: str
    bytes: int
    sha256: str
    expected: str
    verified: bool
    source: str


@dataclass(frozen=True)
class Provenance:
    """Where a data set came from.

    Attributes:
        files: Its files.
        licence: The terms under which they are offered.
    """

    files: tuple[FileProvenance, ...]
    licence: str

    @property
    def verified(self) -> bool:
        """Whether every file has its registered checksum."""
        return all(file.verified for file in self.files)


@dataclass(frozen=True, eq=False)
class Dataset:
    """Images and labels in three disjoint splits.

    Attributes:
        name: The data set's name.
        train_images: Shape (N, channels, height, width), uint8.
        train_labels: Shape (N,), uint8.
        validation_images: As ``train_images``; for choosing settings.
        validation_labels: As ``train_labels``.
        test_images: As ``train_images``; for reported results only.
        test_labels: As ``train_labels``.
        mean: Mean of the training pixels per channel, scaled to [0, 1], float32.
        std: Standard deviation of the training pixels per channel, scaled to [0, 1], float32.
        class_names: The name of each class.
        provenance: Where the files came from.
    """

    name: str
    train_images: NDArray[np.uint8]
    train_labels: NDArray[np.uint8]
    validation_images: NDArray[np.uint8]
    validation_labels: NDArray[np.uint8]
    test_images: NDArray[np.uint8]
    test_labels: NDArray[np.uint8]
    mean: NDArray[np.float32]
    std: NDArray[np.float32]
    class_names: tuple[str, ...]
    provenance: Provenance


def channel_statistics(images: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the mean and standard deviation of each channel's pixels, scaled to [0, 1].

    The sums are whole numbers and therefore exact, so that every machine finds the same bits.

    Args:
        images: Shape (N, channels, height, width).

    Returns:
        Mean and (population) standard deviation, each of shape (channels,).
    """
    channels = images.shape[1]
    count = images.size // channels
    values = range(256)
    means, deviations = [], []
    for channel in range(channels):
        histogram = np.zeros(256, dtype=np.int64)
        for start in range(0, len(images), 1000):
            histogram += np.bincount(images[start : start + 1000, channel].ravel(), minlength=256)
        frequencies = [int(frequency) for frequency in histogram]
        total = sum(value * frequency for value, frequency in zip(values, frequencies, strict=True))
        squares = sum(value**2 * frequency for value, frequency in zip(values, frequencies, strict=True))
        means.append(total / (255 * count))
        deviations.append(((count * squares - total**2) / (255 * count) ** 2) ** 0.5)
    return np.array(means, dtype=np.float32), np.array(deviations, dtype=np.float32)
