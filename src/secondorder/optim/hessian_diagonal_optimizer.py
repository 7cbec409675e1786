"""Optimizers of pytorch-optimizer that divide by a diagonal of the Hessian, which they are given.

The library would differentiate the gradient itself. Here the estimate comes from this project's Hessian-vector
products: of the same function as the gradient, by any method, and counted as work.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from secondorder.curvature.hessian_diagonal import hutchinson_diagonal
from secondorder.curvature.hessian_vector_products import MethodName
from secondorder.optim.flat_parameters import FlatParameters
from secondorder.optim.library_optimizer import steps_taken
from secondorder.optim.objective_products import objective_products
from secondorder.optim.protocol import StepResult
from secondorder.optim.torch_adapter import TorchOptimizer
from secondorder.training.objective import Objective


@dataclass(frozen=True)
class DiagonalEstimate:
    """How the diagonal of the Hessian is estimated.

    Attributes:
        product: The method of the Hessian-vector products.
        samples: How many samples of the mini-batch a product is over; 0 is all.
        period: Steps from one estimate to the next; the first step makes one.
        noise: Draws z in the shape of its argument.
        averaged: What is made of a parameter's estimate.
        held: Whether the last estimate enters the running mean again at the steps between.
    """

    product: MethodName
    samples: int
    period: int
    noise: Callable[[torch.Tensor], torch.Tensor]
    averaged: Callable[[torch.Tensor], torch.Tensor] = torch.Tensor.detach
    held: bool = False


class HessianDiagonalOptimizer(TorchOptimizer):
    """Wraps an optimizer whose ``step`` takes the estimate as ``hessian``.

    Args:
        optimizer: The wrapped optimizer. Where estimates are not held, its own ``update_period`` is that of them.
        estimate: How the diagonal is estimated.
    """

    def __init__(self, optimizer: torch.optim.Optimizer, estimate: DiagonalEstimate) -> None:
        super().__init__(optimizer)
        # That it takes the keyword is the library's own addition to the steps of torch.
        self._step: Callable[..., object] = optimizer.step
        self._estimate = estimate
        self._checked = False
        self._parameters = FlatParameters(p for group in optimizer.param_groups for p in group["params"])

    def step(self, objective: Objective, schedule_factor: float) -> StepResult:
        """Take one step of the wrapped optimizer, with a new estimate where one is due; see the protocol."""
        self._parameters.check(objective)
        self._scale_learning_rates(schedule_factor)
        diagonal: list[torch.Tensor] | None
        if steps_taken(self._optimizer) % self._estimate.period == 0:
            loss, diagonal = self._estimated(objective)
        else:
            loss = objective.loss_and_gradient()
            diagonal = self._last() if self._estimate.held else None
        self._step(hessian=diagonal)
        return StepResult(loss)

    def state_dict(self) -> dict[str, Any]:
        """Return the wrapped optimizer's state, and whether the model has been checked."""
        return {"optimizer": super().state_dict(), "checked": self._checked}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over a state from :meth:`state_dict`."""
        super().load_state_dict(state["optimizer"])
        self._checked = state["checked"]

    def _estimated(self, objective: Objective) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """Return the loss and a new estimate, and leave the gradient in the parameters' ``grad``."""
        estimate = self._estimate
        products = objective_products(objective, estimate.product, samples=estimate.samples, check=not self._checked)
        self._checked = True
        for parameter, gradient in self._parameters.pieces(products.gradient):
            parameter.grad = gradient
        diagonal = hutchinson_diagonal(products, estimate.noise(products.gradient))
        return products.loss, [estimate.averaged(piece) for _, piece in self._parameters.pieces(diagonal)]

    def _last(self) -> list[torch.Tensor]:
        return [self._optimizer.state[parameter]["hessian"] for parameter in self._parameters]
