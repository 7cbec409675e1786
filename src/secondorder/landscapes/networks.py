"""An analytic function as the training of a network, so that every optimizer can run on it as it is.

θ is the weight of a linear layer and the loss the mean squared error: linear and nonlinear least squares. So closed
forms, Gauss-Newton and structured approximations have what they know, and one that refuses it does so for a reason of
its own.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional

from secondorder.landscapes.functions import AnalyticFunction
from secondorder.training.objective import Objective
from secondorder.training.work import Work


class ResidualNetwork(nn.Module):
    """Residuals of a point θ, the weight of a linear layer from one number.

    Args:
        residuals: Points, shape (n, d), to residuals, shape (n, m).
        start: θ at first, shape (d,).
    """

    def __init__(self, residuals: Callable[[torch.Tensor], torch.Tensor], start: torch.Tensor) -> None:
        super().__init__()
        self.point = _layer(start[:, None])
        self._residuals = residuals

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Return the residuals at θ, shape (1, m), for the input 1, shape (1, 1)."""
        return self._residuals(self.point(inputs))


@dataclass(frozen=True)
class LeastSquares:
    """The training that minimises an analytic function over its scale.

    Attributes:
        model: The network; its one parameter holds θ, in order.
        inputs: All there are, batch first.
        targets: Their targets.
    """

    model: nn.Module
    inputs: torch.Tensor
    targets: torch.Tensor

    @property
    def point(self) -> torch.Tensor:
        """A copy of θ, shape (d,)."""
        (parameter,) = self.model.parameters()
        return parameter.detach().flatten().clone()

    def objective(self, work: Work) -> Objective:
        """Return the objective of one step; there are no mini-batches."""
        return Objective(self.model, functional.mse_loss, self.inputs, self.targets, work)


def least_squares(function: AnalyticFunction, scale: float = 1.0) -> LeastSquares:
    """Return the training that minimises f / scale, at the function's start.

    A function with linear residuals R (θ − θ*) is the regression on the rows of R, one sample for each. Any other is
    one sample, whose outputs are the residuals.

    Args:
        function: f.
        scale: What f is divided by.
    """
    if function.design is not None:
        regression = _layer(function.start[None])
        inputs = scale**-0.5 * function.design
        return LeastSquares(regression, inputs, inputs @ function.minimisers[0][:, None])
    residuals = function.residuals
    network = ResidualNetwork(lambda points: scale**-0.5 * residuals(points), function.start)
    one = torch.ones(1, 1, dtype=torch.float64)
    return LeastSquares(network, one, torch.zeros_like(residuals(function.start[None])))


def _layer(weight: torch.Tensor) -> nn.Linear:
    layer = nn.Linear(weight.shape[1], weight.shape[0], bias=False, dtype=torch.float64)
    with torch.no_grad():
        layer.weight.copy_(weight)
    return layer
