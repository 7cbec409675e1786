"""Adam: step sizes adapted by running means of the gradient and of its square.

Source: Kingma & Ba 2015, algorithm 1, in the form ``torch.optim.Adam`` implements; the defaults are the paper's.
m ← β₁ m + (1 − β₁) g; v ← β₂ v + (1 − β₂) g²; θ ← θ − η m̂ / (√v̂ + ε), where m̂ and v̂ are m and v without their bias
towards 0.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import torch

from secondorder.optim.torch_adapter import TorchOptimizer
from secondorder.settings import DeclaredSettings, setting


@dataclass(frozen=True)
class Settings(DeclaredSettings):
    """Settings of Adam."""

    learning_rate: float = setting(1e-3, "Step size η.", above=0)
    beta1: float = setting(0.9, "Decay β₁ of the mean gradient.", at_least=0, below=1)
    beta2: float = setting(0.999, "Decay β₂ of the mean squared gradient.", at_least=0, below=1)
    epsilon: float = setting(1e-8, "Added to the root, against division by 0.", above=0)
    weight_decay: float = setting(0.0, "Coupled L2 penalty λ, added to the gradient as λθ.", at_least=0)


def build(parameters: Iterable[torch.nn.Parameter], settings: Settings) -> TorchOptimizer:
    """Return Adam over ``parameters``."""
    return TorchOptimizer(
        torch.optim.Adam(
            parameters,
            lr=settings.learning_rate,
            betas=(settings.beta1, settings.beta2),
            eps=settings.epsilon,
            weight_decay=settings.weight_decay,
        )
    )
