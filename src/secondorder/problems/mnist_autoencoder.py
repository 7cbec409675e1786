"""A deep autoencoder on MNIST: 784-1000-500-250-30 and its mirror, or other layers; 2,837,314 parameters.

Source of the layout: Hinton & Salakhutdinov 2006, with sigmoid units, a linear code and a cross-entropy that is summed
over pixels; of the metric and, section 5, of the sparse initialisation: Martens 2010. Inputs and targets are the
pixels in [0, 1]. The network ends in logits: the last sigmoid is part of the loss, which so keeps its digits.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import torch
from torch import nn
from torch.nn import functional

from secondorder.problems.metrics import SQUARED_RECONSTRUCTION_ERROR
from secondorder.problems.problem import Problem
from secondorder.problems.widths import hidden_widths
from secondorder.settings import DeclaredSettings, setting

DATASETS = ("mnist", "mnist_5k")
_CONNECTIONS = 15


@dataclass(frozen=True)
class Settings(DeclaredSettings):
    """Settings of the autoencoder."""

    hidden: str = setting("1000-500-250-30", "Widths of the encoder after the pixels; the last is that of the code.")
    initialisation: Literal["sparse", "torch"] = setting(
        "sparse",
        "`sparse`: 15 incoming weights of each unit are standard normal, all others and the biases 0 (Martens 2010); "
        "`torch`: that of `torch.nn.Linear`.",
    )

    def check(self) -> None:
        """Refuse widths that are none."""
        hidden_widths(self.hidden)


def build(settings: Settings) -> Problem:
    """Return the problem."""

    def network() -> nn.Module:
        encoder = [784, *hidden_widths(settings.hidden)]
        widths = [*encoder, *reversed(encoder[:-1])]
        code = len(encoder) - 2
        layers: list[nn.Module] = [nn.Flatten()]
        for place, (inputs, outputs) in enumerate(pairwise(widths)):
            layers.append(nn.Linear(inputs, outputs))
            if place not in (code, len(widths) - 2):
                layers.append(nn.Sigmoid())
        made = nn.Sequential(*layers)
        if settings.initialisation == "sparse":
            made.apply(_initialise_sparsely)
        return made

    return Problem(network=network, loss=reconstruction_loss, metric=SQUARED_RECONSTRUCTION_ERROR, reconstructs=True)


def reconstruction_loss(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Return the cross-entropy of pixels, −Σ x log σ(z) + (1 − x) log(1 − σ(z)), the mean over images.

    Args:
        outputs: Logits z, shape (n, pixels).
        targets: Pixels x in [0, 1], shape (n, pixels).
    """
    return functional.binary_cross_entropy_with_logits(outputs, targets, reduction="sum") / len(outputs)


def _initialise_sparsely(module: nn.Module) -> None:
    if not isinstance(module, nn.Linear):
        return
    connections = min(_CONNECTIONS, module.in_features)
    with torch.no_grad():
        module.bias.zero_()
        module.weight.zero_()
        for row in module.weight:
            row[torch.randperm(module.in_features)[:connections]] = torch.randn(connections)
