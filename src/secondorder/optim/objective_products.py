"""Products with the Hessian or the Gauss-Newton matrix of a mini-batch objective, with their work counted."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch

from secondorder.curvature.fisher_diagonal import fisher_diagonal
from secondorder.curvature.flat_vectors import flattened
from secondorder.curvature.gauss_newton_products import GaussNewtonProducts
from secondorder.curvature.hessian_vector_products import HessianVectorProducts, MethodName
from secondorder.errors import InputError
from secondorder.optim.flat_parameters import FlatParameters
from secondorder.training.objective import Objective
from secondorder.training.work import GAUSS_NEWTON_PRICE, PRODUCT_PRICES


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

    def made(inputs: torch.Tensor, targets: torch.Tensor) -> HessianVectorProducts:
        return HessianVectorProducts(
            objective.model,
            objective.loss_function,
            inputs,
            targets,
            method,
            step or None,
            same_function=objective.same_function,
            check=check,
        )

    return _around(objective, made, PRODUCT_PRICES[method], samples)


@dataclass(frozen=True)
class ObjectiveGaussNewton(ObjectiveProducts):
    """The objective around one point with its Gauss-Newton matrix G, so that ``product`` is v ↦ G(θ) v.

    Attributes:
        squared_gradients: k ↦ the diagonal of the empirical Fisher matrix, shape [P], by k backward passes; see
            :func:`~secondorder.curvature.fisher_diagonal.fisher_diagonal`. The penalty's Hessian is added.
    """

    squared_gradients: Callable[[int], torch.Tensor]


def objective_gauss_newton(objective: Objective, samples: int = 0) -> ObjectiveGaussNewton:
    """Return an objective's loss, gradient and products with its Gauss-Newton matrix; costs one gradient.

    The penalty, whose Hessian is its own Gauss-Newton matrix, is part of all of them. Few samples, and what is not
    finite, are treated as by :func:`objective_products`.

    Args:
        objective: The mini-batch objective.
        samples: How many samples of the mini-batch products and squared gradients are over; 0 is all.

    Raises:
        CapabilityError: PyTorch cannot differentiate the model twice.
        InputError: The model's outputs are no tensor.
    """
    kept: list[GaussNewtonProducts] = []

    def made(inputs: torch.Tensor, targets: torch.Tensor) -> GaussNewtonProducts:
        products = GaussNewtonProducts(
            objective.model, objective.loss_function, inputs, targets, same_function=objective.same_function
        )
        kept.append(products)
        return products

    around = _around(objective, made, GAUSS_NEWTON_PRICE, samples)

    def squared_gradients(passes: int) -> torch.Tensor:
        if not kept:
            return torch.full_like(around.gradient, torch.nan)
        used = len(kept[0].output_gradient)
        for _ in range(passes):
            objective.work.count_backward(used)
        signs = 2.0 * torch.randint(0, 2, (passes, used), device=around.gradient.device) - 1.0
        diagonal = fisher_diagonal(kept[0], signs.to(around.gradient))
        return diagonal + _penalty(objective) if objective.penalty else diagonal

    return ObjectiveGaussNewton(around.loss, around.gradient, around.product, squared_gradients)


class _Products(Protocol):
    loss: torch.Tensor
    gradient: torch.Tensor

    def __call__(self, vector: torch.Tensor) -> torch.Tensor: ...


def _around(
    objective: Objective, make: Callable[[torch.Tensor, torch.Tensor], _Products], price: float, samples: int
) -> ObjectiveProducts:
    """Return loss, gradient and products of the objective, from a maker of products without the penalty."""
    theta = flattened(objective.parameters).detach()
    if not torch.isfinite(theta).all():
        return _diverged(objective.loss(), theta)
    batch = len(objective.inputs)
    used = min(samples, batch) if samples else batch
    penalty = _penalty(objective) if objective.penalty else None
    # The whole mini-batch first: it is what BatchNorm's running statistics are to see.
    whole = loss_and_flat_gradient(objective) if used < batch else None
    objective.work.count_gradient(used)
    try:
        products = make(objective.inputs[batch - used :], objective.targets[batch - used :])
    except InputError:
        # A loss without derivatives because it is not finite is an outcome of training, and no mistake of the caller.
        loss = objective.loss()
        if torch.isfinite(loss).all():
            raise
        return _diverged(loss, theta)

    def product(vector: torch.Tensor) -> torch.Tensor:
        if not torch.isfinite(vector).all():
            return torch.full_like(vector, torch.nan)
        objective.work.count_product(used, price)
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
    return loss, FlatParameters(objective.parameters).gradient()


def _diverged(loss: torch.Tensor, theta: torch.Tensor) -> ObjectiveProducts:
    """Return NaN for everything."""
    nowhere = torch.full_like(theta, torch.nan)
    return ObjectiveProducts(loss * torch.nan, nowhere, nowhere.mul)


def _penalty(objective: Objective) -> torch.Tensor:
    """Return the penalty's diagonal Hessian, shape [P]: λ for parameters of two or more dimensions, 0 for others."""
    pieces = [torch.full_like(p.detach().flatten(), float(p.ndim > 1)) for p in objective.parameters]
    return objective.penalty * torch.cat(pieces)
