"""Products with the Hessian by another library, which shares no code with this project.

This is the only module that knows how that library is called: the parameters are a list in its version 3.0, and have
names in later ones.
"""

from collections.abc import Callable

import torch
from curvlinops import HessianLinearOperator
from torch import nn

from secondorder.problems.problem import Loss


class _MeanLoss(nn.Module):
    """A loss as the library takes it: a module that says how it goes over the samples."""

    reduction = "mean"

    def __init__(self, loss: Loss) -> None:
        super().__init__()
        self._loss = loss

    def forward(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return self._loss(outputs, targets)


def curvlinops_products(
    model: nn.Module, loss: Loss, inputs: torch.Tensor, targets: torch.Tensor
) -> Callable[[torch.Tensor], torch.Tensor]:
    """Return v ↦ H v by curvlinops, the forward derivative of the gradient, in the model's precision.

    Args:
        model: The network; it must be one function of its parameters, with dropout in evaluation mode.
        loss: Mean over a batch.
        inputs: Inputs, batch first.
        targets: Targets, batch first.
    """
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    operator = HessianLinearOperator(model, _MeanLoss(loss), parameters, [(inputs, targets)], check_deterministic=False)

    def product(vector: torch.Tensor) -> torch.Tensor:
        image: torch.Tensor = operator @ vector
        return image

    return product
