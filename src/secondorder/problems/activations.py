"""The activations that a problem's settings can name."""

from collections.abc import Callable
from typing import Literal

from torch import nn

ActivationName = Literal["relu", "tanh", "gelu", "softplus"]

ACTIVATIONS: dict[ActivationName, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "tanh": nn.Tanh,
    "gelu": nn.GELU,
    "softplus": nn.Softplus,
}
