"""LeNet-5 in its modern form on MNIST, cross-entropy loss: 61,706 parameters.

Source of the layout: LeCun, Bottou, Bengio & Haffner 1998, with ReLU and max-pooling for the sigmoids and the trainable
sub-sampling, full connections between the two convolutions, and 28 x 28 images padded by 2.
"""

from dataclasses import dataclass

from torch import nn
from torch.nn import functional

from secondorder.problems.activations import ACTIVATIONS, ActivationName
from secondorder.problems.problem import Problem
from secondorder.settings import DeclaredSettings, setting

DATASETS = ("mnist", "mnist_5k")


@dataclass(frozen=True)
class Settings(DeclaredSettings):
    """Settings of LeNet-5."""

    activation: ActivationName = setting("relu", "Activation of every layer but the last.")


def build(settings: Settings) -> Problem:
    """Return the problem, with torch's default initialisation."""
    activation = ACTIVATIONS[settings.activation]

    def network() -> nn.Module:
        return nn.Sequential(
            nn.Conv2d(1, 6, kernel_size=5, padding=2),
            activation(),
            nn.MaxPool2d(2),
            nn.Conv2d(6, 16, kernel_size=5),
            activation(),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(400, 120),
            activation(),
            nn.Linear(120, 84),
            activation(),
            nn.Linear(84, 10),
        )

    return Problem(network=network, loss=functional.cross_entropy)
