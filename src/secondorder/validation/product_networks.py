"""Networks whose Hessian-vector products are measured, in float64 as they are made."""

import torch
from torch import nn

from secondorder.validation.networks import CLASSES, SIDE

PIXELS = 28
"""Pixels along each side of the images that the growing networks see; those that are compared see :data:`SIDE`."""

SMALLEST_WIDTH = 16
"""Of the growing networks, whose channels are shares of it."""

_STATE = 32
_KERNEL = 5


class RowByRow(nn.Module):
    """A recurrent network that reads an image row by row, and classifies by the state after the last row."""

    def __init__(self) -> None:
        super().__init__()
        self.cell = nn.RNNCell(SIDE, _STATE)
        self.output = nn.Linear(_STATE, CLASSES)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return the outputs, shape (B, CLASSES), of images of shape (B, 1, SIDE, SIDE)."""
        state = images.new_zeros(len(images), _STATE)
        for row in images.squeeze(1).unbind(1):
            state = self.cell(row, state)
        outputs: torch.Tensor = self.output(state)
        return outputs


def smooth_perceptron() -> nn.Module:
    """Return a perceptron with two tanh layers."""
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(SIDE**2, 64),
        nn.Tanh(),
        nn.Linear(64, 32),
        nn.Tanh(),
        nn.Linear(32, CLASSES),
    ).double()


def normalised_convolutional() -> nn.Module:
    """Return two convolutions with batch normalisation, ReLU and max-pooling, and a dense layer."""
    return nn.Sequential(
        nn.Conv2d(1, 6, kernel_size=3, padding=1),
        nn.BatchNorm2d(6),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(6, 12, kernel_size=3, padding=1),
        nn.BatchNorm2d(12),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(12 * (SIDE // 4) ** 2, CLASSES),
    ).double()


def recurrent() -> nn.Module:
    """Return :class:`RowByRow`."""
    return RowByRow().double()


def wide_perceptron(width: int) -> nn.Module:
    """Return a perceptron with ReLU layers of 2w and w.

    Args:
        width: w.
    """
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(PIXELS**2, 2 * width),
        nn.ReLU(),
        nn.Linear(2 * width, width),
        nn.ReLU(),
        nn.Linear(width, CLASSES),
    ).double()


def wide_convolutional(width: int) -> nn.Module:
    """Return two convolutions of w/16 and w/8 channels with ReLU and max-pooling, and two dense layers.

    Args:
        width: w, of the hidden dense layer; at least :data:`SMALLEST_WIDTH`.
    """
    first, second = width // 16, width // 8
    return nn.Sequential(
        nn.Conv2d(1, first, _KERNEL, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(first, second, _KERNEL, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(second * (PIXELS // 4) ** 2, width),
        nn.ReLU(),
        nn.Linear(width, CLASSES),
    ).double()


COMPARED = {
    "perceptron": smooth_perceptron,
    "convolutional": normalised_convolutional,
    "recurrent": recurrent,
}
"""Networks whose products are compared: smooth, with samples coupled by their batch, and deep in time."""

GROWING = {"perceptron": wide_perceptron, "convolutional": wide_convolutional}
"""Networks whose products are timed as they grow."""
