"""Images on the training device, and the order in which mini-batches take them."""

from typing import Any

import torch

from secondorder.data.dataset import Dataset
from secondorder.problems.problem import Augmentation
from secondorder.training.randomness import stream_seed


def evenly_spaced(count: int, total: int) -> torch.Tensor:
    """Return ``count`` different indices below ``total``, evenly spaced; all of them where there are fewer."""
    count = min(count, total)
    return torch.arange(count) * total // count


class DeviceSplit:
    """One split of a dataset, kept on the device as uint8 and normalised by the batch.

    Args:
        images: uint8 array, shape (n, channels, height, width).
        labels: uint8 array, shape (n,).
        dataset: Gives the per-channel mean and standard deviation of the training split.
        device: Where to keep it.
    """

    def __init__(self, images: Any, labels: Any, dataset: Dataset, device: torch.device) -> None:
        self.images = torch.from_numpy(images).to(device)
        self.labels = torch.from_numpy(labels).to(device, torch.int64)
        self._scale = torch.from_numpy(1 / (255 * dataset.std)).to(device)[:, None, None]
        self._shift = torch.from_numpy(-dataset.mean / dataset.std).to(device)[:, None, None]

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.labels)

    def normalise(self, images: torch.Tensor) -> torch.Tensor:
        """Return float32 images (x/255 − mean)/std of a uint8 batch."""
        return images.to(torch.float32).mul_(self._scale).add_(self._shift)

    def examples(
        self, images: torch.Tensor, labels: torch.Tensor, *, reconstruct: bool = False
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return float32 inputs and targets of a uint8 batch.

        Args:
            images: uint8 images.
            labels: Their labels.
            reconstruct: Whether inputs are pixels in [0, 1] and targets the same, flat, shape (n, pixels); otherwise
                inputs are normalised images and targets the labels.
        """
        if not reconstruct:
            return self.normalise(images), labels
        pixels = images.to(torch.float32) / 255
        return pixels, pixels.flatten(1)

    def subset(self, indices: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the uint8 images and the labels at ``indices``."""
        return self.images[indices], self.labels[indices]


class BatchOrder:
    """Shuffled mini-batches, epoch after epoch, that resume where they were.

    An epoch is a fresh permutation cut into whole batches; the remainder waits for another epoch. The permutation is
    drawn on the CPU, so that a seed means the same order on every device, and depends on the seed alone, so that every
    optimizer sees the same order.

    Args:
        split: What to draw from.
        batch_size: Samples in a batch.
        seed: The run's seed, from which the order and the augmentation each get a stream of their own.
        augmentation: Applied to the uint8 images of each batch; None for none.
        reconstruct: Whether the images are their own targets; see :meth:`DeviceSplit.examples`.
    """

    def __init__(
        self,
        split: DeviceSplit,
        batch_size: int,
        seed: int,
        augmentation: Augmentation | None,
        *,
        reconstruct: bool = False,
    ) -> None:
        self._split = split
        self._batch_size = batch_size
        self._batches_per_epoch = len(split) // batch_size
        self._augmentation = augmentation
        self._reconstruct = reconstruct
        self._order_generator = torch.Generator().manual_seed(stream_seed(seed, "order"))
        self._augmentation_generator = torch.Generator().manual_seed(stream_seed(seed, "augmentation"))
        self._permutation = torch.empty(0, dtype=torch.int64)
        self._taken = 0

    @property
    def epochs(self) -> float:
        """Passes over the training data so far, in whole and parts."""
        return self._taken / self._batches_per_epoch

    def next_batch(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Return float32 inputs and targets of the next batch."""
        index = self._taken % self._batches_per_epoch
        if index == 0:
            permutation = torch.randperm(len(self._split), generator=self._order_generator)
            self._permutation = permutation.to(self._split.images.device)
        self._taken += 1
        chosen = self._permutation[index * self._batch_size : (index + 1) * self._batch_size]
        images, labels = self._split.subset(chosen)
        if self._augmentation is not None:
            images = self._augmentation(images, self._augmentation_generator)
        return self._split.examples(images, labels, reconstruct=self._reconstruct)

    def state_dict(self) -> dict[str, Any]:
        """Return everything the next batches depend on."""
        return {
            "order": self._order_generator.get_state(),
            "augmentation": self._augmentation_generator.get_state(),
            "permutation": self._permutation,
            "taken": self._taken,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over a state from :meth:`state_dict`."""
        self._order_generator.set_state(state["order"])
        self._augmentation_generator.set_state(state["augmentation"])
        self._permutation = state["permutation"].to(self._split.images.device)
        self._taken = state["taken"]
