"""Products with the Hessian of a mini-batch objective, by a method of choice, with their work counted."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch.nn.utils import parameters_to_vector

from secondorder.curvature.hessian_vector_products import HessianVectorProducts, MethodName
from secondorder.errors import InputError
from secondorder.training.objective import Objective
from secondorder.training.work import PRODUCT_PRICES


@dataclass(frozen=True)
class ObjectiveProducts:
    """The objective around one point: f, ∇f and v ↦ ∇²f v.

    Products belong to the parameters as they were when the object was made; use it up before they move.

    Attributes:
        loss: f(θ), 0-dimensional and detached, of the whole mini-batch.
        gradient: ∇f(θ), shape [P], of the whole mini-batch, in the order of ``parameters_to_vector``.
        product: v ↦ ∇²f(θ) v for v of shape [P].
    """

    loss: torch.Tensor
    gradient: torch.Tensor
    product: Callable[[torch.Tensor], torch.Tensor]

    def __call__(self, vector: torch.Tensor) -> torch.Tensor:
        """Return ∇²f(θ) v; costs one product."""
        return self.product(vector)


def objective_products(
    objective: Objective,
    method: MethodName = "r_operator",
    step: float = 0.0,
    samples: int = 0,
    *,
    check: bool = True,
) -> ObjectiveProducts:
    """Return an objective's loss, gradient and Hessian-vector products; costs one gradient.

    The penalty is part of all three. With fewer ``samples`` than the mini-batch has, products are with the Hessian of
    the mean loss over its last ones: making them costs a gradient of those besides, and dropout has other masks there.
    Where parameters, their loss or a vector are not finite, nothing is differentiated and results are NaN, so that
    training ends as diverged and not with an error.

    Args:
        objective: The mini-batch objective.
        method: The method of the products.
        step: The method's step, relative to the vector; 0 is the method's default.
        samples: How many samples of the mini-batch products are over; 0 is all.
        check: Whether to compare what the method sees of the model with automatic differentiation.

    Raises:
        CapabilityError: The method cannot represent the model; names the operation.
        InputError: The method takes no step, or not this one.
    """
    theta = parameters_to_vector(objective.parameters).detach()
    if not torch.isfinite(theta).all():
        return _diverged(objective.loss(), theta)
    batch = len(objective.inputs)
    used = min(samples, batch) if samples else batch
    penalty = _penalty(objective) if objective.penalty else None
    # The whole mini-batch first: it is what BatchNorm's running statistics are to see.
    whole = loss_and_flat_gradient(objective) if used < batch else None
    objective.work.count_gradient(used)
    try:
        products = HessianVectorProducts(
            objective.model,
            objective.loss_function,
            objective.inputs[batch - used :],
            objective.targets[batch - used :],
            method,
            step or None,
            same_function=objective.same_function,
            check=check,
        )
    except InputError:
        # A loss without derivatives because it is not finite is an outcome of training, and no mistake of the caller.
        loss = objective.loss()
        if torch.isfinite(loss):
            raise
        return _diverged(loss, theta)

    def product(vector: torch.Tensor) -> torch.Tensor:
        if not torch.isfinite(vector).all():
            return torch.full_like(vector, torch.nan)
        objective.work.count_product(used, PRODUCT_PRICES[method])
        image = products(vector)
        return image if penalty is None else image + penalty * vector

    if whole is not None:
        return ObjectiveProducts(*whole, product)
    loss, gradient = products.loss, products.gradient
    if penalty is not None:
        loss = loss + (penalty * theta * theta).sum() / 2
        gradient = gradient + penalty * theta
    return ObjectiveProducts(loss, gradient, product)


def loss_and_flat_gradient(objective: Objective) -> tuple[torch.Tensor, torch.Tensor]:
    """Return f(θ), detached, and ∇f(θ), shape [P], in the order of ``parameters_to_vector``; costs one gradient."""
    loss = objective.loss_and_gradient()
    gradients = [p.new_zeros(p.numel()) if p.grad is None else p.grad.flatten() for p in objective.parameters]
    return loss, torch.cat(gradients)


def _diverged(loss: torch.Tensor, theta: torch.Tensor) -> ObjectiveProducts:
    """Return NaN for everything."""
    nowhere = torch.full_like(theta, torch.nan)
    return ObjectiveProducts(loss * torch.nan, nowhere, nowhere.mul)


def _penalty(objective: Objective) -> torch.Tensor:
    """Return the penalty's diagonal Hessian, shape [P]: λ for parameters of two or more dimensions, 0 for others."""
    pieces = [torch.full_like(p.detach().flatten(), float(p.ndim > 1)) for p in objective.parameters]
    return objective.penalty * torch.cat(pieces)
