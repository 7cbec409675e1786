"""A perceptron on MNIST, cross-entropy loss: 784-128-64-10 with 109,386 parameters, or other hidden layers."""

from dataclasses import dataclass
from itertools import pairwise

from torch import nn
from torch.nn import functional

from secondorder.problems.activations import ACTIVATIONS, ActivationName
from secondorder.problems.problem import Problem
from secondorder.problems.regularization import RegularizationSettings, dropout_layers
from secondorder.problems.widths import hidden_widths
from secondorder.settings import setting

DATASETS = ("mnist", "mnist_5k")


@dataclass(frozen=True)
class Settings(RegularizationSettings):
    """Settings of the perceptron."""

    activation: ActivationName = setting("relu", "Hidden activation; tanh makes the loss smooth.")
    hidden: str = setting("128-64", "Widths of the hidden layers; `16` is narrow enough for every exact method.")

    def check(self) -> None:
        """Refuse widths that are none."""
        super().check()
        hidden_widths(self.hidden)


def build(settings: Settings) -> Problem:
    """Return the problem, with torch's default initialisation."""
    activation = ACTIVATIONS[settings.activation]

    def network() -> nn.Module:
        layers: list[nn.Module] = [nn.Flatten()]
        widths = [784, *hidden_widths(settings.hidden)]
        for inputs, outputs in pairwise(widths):
            layers += [nn.Linear(inputs, outputs), activation(), *dropout_layers(settings.dropout)]
        return nn.Sequential(*layers, nn.Linear(widths[-1], 10))

    return Problem(
        network=network,
        loss=functional.cross_entropy,
        penalty=settings.penalty,
        decoupled_decay=settings.decoupled_decay,
    )
