"""A perceptron on MNIST, cross-entropy loss: 784-128-64-10 with 109,386 parameters, or other hidden layers."""

from dataclasses import dataclass
from itertools import pairwise

from torch import nn
from torch.nn import functional

from secondorder.errors import ConfigurationError
from secondorder.problems.activations import ACTIVATIONS, ActivationName
from secondorder.problems.problem import Problem
from secondorder.settings import setting

DATASETS = ("mnist", "mnist_5k")


@dataclass(frozen=True)
class Settings:
    """Settings of the perceptron."""

    activation: ActivationName = setting("relu", "Hidden activation; tanh makes the loss smooth.")
    hidden: str = setting("128-64", "Widths of the hidden layers; `16` is narrow enough for every exact method.")

    def __post_init__(self) -> None:
        """Refuse widths that are none."""
        self.widths()

    def widths(self) -> list[int]:
        """Return the widths of the hidden layers.

        Raises:
            ConfigurationError: ``hidden`` does not list positive whole numbers.
        """
        parts = self.hidden.split("-")
        if not all(part.isdecimal() and int(part) > 0 for part in parts):
            raise ConfigurationError(
                f"hidden is {self.hidden!r}; write widths above 0 with - between, such as '128-64'"
            )
        return [int(part) for part in parts]


def build(settings: Settings) -> Problem:
    """Return the problem, with torch's default initialisation."""
    activation = ACTIVATIONS[settings.activation]

    def network() -> nn.Module:
        layers: list[nn.Module] = [nn.Flatten()]
        widths = [784, *settings.widths()]
        for inputs, outputs in pairwise(widths):
            layers += [nn.Linear(inputs, outputs), activation()]
        return nn.Sequential(*layers, nn.Linear(widths[-1], 10))

    return Problem(network=network, loss=functional.cross_entropy)
