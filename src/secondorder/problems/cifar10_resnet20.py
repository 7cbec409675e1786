"""ResNet-20 on CIFAR-10, cross-entropy loss: 269,722 parameters.

Source: He, Zhang, Ren & Sun 2015 ("Deep Residual Learning"), section 4.2: three stages of three blocks with 16, 32 and
64 channels, batch normalisation after every convolution, parameter-free shortcuts (their option A), global average
pooling, the augmentation, weight decay 0.0001 and, for convolutions, the initialisation of He et al. 2015 ("Delving
Deep into Rectifiers"). Their weight decay includes biases and normalisation; here it is on weights. Biases start at 0.
"""

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import nn
from torch.nn import functional

from secondorder.data.augmentation import crop_and_flip
from secondorder.problems.problem import Problem
from secondorder.settings import DeclaredSettings, setting

DATASETS = ("cifar10",)
_BLOCKS = 3


@dataclass(frozen=True)
class Settings(DeclaredSettings):
    """Settings of the network's training objective."""

    penalty: float = setting(0.0001, "L2 coefficient on weights, not biases; He et al. have 0.0001.", at_least=0)
    augment: bool = setting(True, "Random crops (padding 4) and horizontal flips of the training images.")


class _Block(nn.Module):
    """Two 3 x 3 convolutions beside a shortcut, which skips pixels and adds channels of zeros where sizes differ."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.stride = outputs // inputs
        self.added = outputs - inputs
        self.residual = nn.Sequential(
            *_normalised_convolution(inputs, outputs, self.stride),
            nn.ReLU(),
            *_normalised_convolution(outputs, outputs),
        )

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Return maps of shape (n, outputs, side / stride, side / stride)."""
        shortcut = maps
        if self.added:
            shortcut = functional.pad(
                maps[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, self.added // 2, self.added // 2)
            )
        return functional.relu(self.residual(maps) + shortcut)


def _normalised_convolution(inputs: int, outputs: int, stride: int = 1) -> list[nn.Module]:
    convolution = nn.Conv2d(inputs, outputs, kernel_size=3, stride=stride, padding=1, bias=False)
    nn.init.kaiming_normal_(convolution.weight, nonlinearity="relu")
    return [convolution, nn.BatchNorm2d(outputs)]


def build(settings: Settings) -> Problem:
    """Return the problem."""

    def network() -> nn.Module:
        channels = [16] * (_BLOCKS + 1) + [32] * _BLOCKS + [64] * _BLOCKS
        blocks = [_Block(before, after) for before, after in pairwise(channels)]
        classifier = nn.Linear(64, 10)
        nn.init.zeros_(classifier.bias)
        return nn.Sequential(
            *_normalised_convolution(3, 16),
            nn.ReLU(),
            *blocks,
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            classifier,
        )

    return Problem(
        network=network,
        loss=functional.cross_entropy,
        penalty=settings.penalty,
        augmentation=crop_and_flip if settings.augment else None,
    )
