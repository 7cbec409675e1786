"""Stochastic gradient descent, with heavy-ball or Nesterov momentum.

Source: Robbins & Monro 1951; momentum as in Sutskever, Martens, Dahl & Hinton 2013, in the form ``torch.optim.SGD``
implements. With gradient g: v ← m v + g; θ ← θ − η v, or with Nesterov θ ← θ − η (g + m v).
"""

from collections.abc import Iterable
from dataclasses import dataclass

import torch

from secondorder.errors import ConfigurationError
from secondorder.optim.torch_adapter import TorchOptimizer
from secondorder.settings import DeclaredSettings, setting


@dataclass(frozen=True)
class Settings(DeclaredSettings):
    """Settings of SGD; the defaults are torch's but for the learning rate."""

    learning_rate: float = setting(0.1, "Step size η.", above=0)
    momentum: float = setting(0.0, "Momentum m.", at_least=0, below=1)
    nesterov: bool = setting(False, "Look ahead along the momentum; needs a momentum above 0.")
    weight_decay: float = setting(0.0, "Coupled L2 penalty λ, added to the gradient as λθ.", at_least=0)

    def check(self) -> None:
        """Refuse Nesterov without momentum, which means nothing."""
        if self.nesterov and self.momentum == 0:
            raise ConfigurationError("nesterov is true and momentum is 0; give a momentum above 0, such as 0.9")


def build(parameters: Iterable[torch.nn.Parameter], settings: Settings) -> TorchOptimizer:
    """Return SGD over ``parameters``."""
    return TorchOptimizer(
        torch.optim.SGD(
            parameters,
            lr=settings.learning_rate,
            momentum=settings.momentum,
            nesterov=settings.nesterov,
            weight_decay=settings.weight_decay,
        )
    )
