"""What a problem is: a network, its loss, its penalty and its augmentation."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
Augmentation = Callable[[torch.Tensor, torch.Generator], torch.Tensor]


@dataclass(frozen=True)
class Problem:
    """A training problem, apart from its data.

    Attributes:
        network: Builds the freshly initialised network; draws from torch's global random number generator.
        loss: Maps outputs and targets to a 0-dimensional tensor, the mean over the samples.
        penalty: L2 coefficient λ of the objective: λ/2 ‖w‖² over the weights (parameters of two or more dimensions,
            so not the biases), a part of the problem and so of every optimizer's objective.
        augmentation: Changes a uint8 batch at random before training sees it; None for none.
    """

    network: Callable[[], nn.Module]
    loss: Loss
    penalty: float = 0.0
    augmentation: Augmentation | None = None
