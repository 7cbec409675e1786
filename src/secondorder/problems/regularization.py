"""What problems that study regularization share: their settings, and dropout after hidden activations."""

from dataclasses import dataclass

from torch import nn

from secondorder.settings import DeclaredSettings, setting


@dataclass(frozen=True)
class RegularizationSettings(DeclaredSettings):
    """Regularization, each kind off at 0."""

    penalty: float = setting(0.0, "L2 coefficient λ of the loss, λ/2 ‖w‖² over weights, not biases.", at_least=0)
    decoupled_decay: float = setting(
        0.0,
        "Share of the weights that training takes away per gradient-equivalent, times the schedule's factor, outside "
        "of the loss.",
        at_least=0,
        below=1,
    )
    dropout: float = setting(
        0.0, "Share of each hidden layer's activations that dropout sets to 0 in training.", at_least=0, below=1
    )


def dropout_layers(share: float) -> list[nn.Module]:
    """Return a dropout module in a list; none for a share of 0, so that nothing changes."""
    return [nn.Dropout(share)] if share else []
