"""A 784-128-64-10 perceptron on MNIST, cross-entropy loss: 109,386 parameters."""

from dataclasses import dataclass

from torch import nn
from torch.nn import functional

from secondorder.problems.activations import ACTIVATIONS, ActivationName
from secondorder.problems.problem import Problem
from secondorder.settings import setting

DATASETS = ("mnist", "mnist_5k")


@dataclass(frozen=True)
class Settings:
    """Settings of the perceptron."""

    activation: ActivationName = setting("relu", "Hidden activation; tanh makes the loss smooth.")


def build(settings: Settings) -> Problem:
    """Return the problem, with torch's default initialisation."""
    activation = ACTIVATIONS[settings.activation]

    def network() -> nn.Module:
        return nn.Sequential(
            nn.Flatten(),
            nn.Linear(784, 128),
            activation(),
            nn.Linear(128, 64),
            activation(),
            nn.Linear(64, 10),
        )

    return Problem(network=network, loss=functional.cross_entropy)
