"""What a problem is: a network, its loss, its metric, its regularization and its augmentation."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

from secondorder.problems.metrics import ACCURACY, Metric

Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
Augmentation = Callable[[torch.Tensor, torch.Generator], torch.Tensor]


@dataclass(frozen=True)
class Problem:
    """A training problem, apart from its data.

    Attributes:
        network: Builds the freshly initialised network; draws from torch's global random number generator.
        loss: Maps outputs and targets to a 0-dimensional tensor, the mean over the samples.
        metric: What the network is judged by.
        penalty: L2 coefficient λ of the objective: λ/2 ‖w‖² over the weights (parameters of two or more dimensions,
            so not the biases), a part of the problem and so of every optimizer's objective.
        decoupled_decay: Share of the same weights that training takes away per gradient-equivalent of work, times the
            schedule's factor, whatever the objective: after a step that used u of them, w ← w (1 − λ·factor)ᵘ.
        augmentation: Changes a uint8 batch at random before training sees it; None for none.
        reconstructs: Whether the network is to reproduce its images: inputs are then the pixels in [0, 1] in place of
            normalised images, and targets the same numbers, flat, in place of labels.
    """

    network: Callable[[], nn.Module]
    loss: Loss
    metric: Metric = ACCURACY
    penalty: float = 0.0
    decoupled_decay: float = 0.0
    augmentation: Augmentation | None = None
    reconstructs: bool = False
