"""Decoupled weight decay per unit of work, the same for every optimizer."""

import torch
from torch import nn


@torch.no_grad()
def decay_weights(model: nn.Module, rate: float, work: float) -> None:
    """Shrink the weights after a step: w ← w (1 − rate)^work, w the parameters of two or more dimensions.

    Decoupled from the gradient as in Loshchilov & Hutter 2019; per unit of work and not per step is this project's
    choice, derived in docs/methods.md.

    Args:
        model: The network, changed in place; frozen parameters stay.
        rate: Share that one gradient-equivalent takes away, in [0, 1); 0 leaves every bit as it is.
        work: Gradient-equivalents that the step used.
    """
    if rate == 0:
        return
    for parameter in model.parameters():
        if parameter.requires_grad and parameter.ndim > 1:
            parameter.mul_((1 - rate) ** work)
