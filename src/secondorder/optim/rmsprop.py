"""RMSprop: the gradient divided by a running root mean square of itself.

Source: Tieleman & Hinton 2012 (lecture 6.5), in the form ``torch.optim.RMSprop`` implements, whose defaults are used
but for the learning rate. v ← α v + (1 − α) g²; u ← m u + g / (√v + ε); θ ← θ − η u.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import torch

from secondorder.optim.torch_adapter import TorchOptimizer
from secondorder.settings import DeclaredSettings, setting


@dataclass(frozen=True)
class Settings(DeclaredSettings):
    """Settings of RMSprop."""

    learning_rate: float = setting(1e-3, "Step size η; 0.001 as in the lecture (torch's default is 0.01).", above=0)
    smoothing: float = setting(0.99, "Decay α of the mean squared gradient.", at_least=0, below=1)
    momentum: float = setting(0.0, "Momentum m.", at_least=0, below=1)
    epsilon: float = setting(1e-8, "Added to the root, against division by 0.", above=0)
    weight_decay: float = setting(0.0, "Coupled L2 penalty λ, added to the gradient as λθ.", at_least=0)


def build(parameters: Iterable[torch.nn.Parameter], settings: Settings) -> TorchOptimizer:
    """Return RMSprop over ``parameters``."""
    return TorchOptimizer(
        torch.optim.RMSprop(
            parameters,
            lr=settings.learning_rate,
            alpha=settings.smoothing,
            momentum=settings.momentum,
            eps=settings.epsilon,
            weight_decay=settings.weight_decay,
        )
    )
