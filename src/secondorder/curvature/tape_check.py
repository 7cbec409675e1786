"""Comparison of what a tape gives with PyTorch's own differentiation."""

from collections.abc import Callable
from dataclasses import dataclass

import torch

from secondorder.curvature.evaluation import TOLERANCE, Evaluation
from secondorder.curvature.flat_vectors import flattened
from secondorder.errors import CapabilityError

_PRODUCT_TOLERANCE = {torch.float64: 1e-7, torch.float32: 1e-2}
_ROUNDINGS = 1e3


@dataclass(frozen=True)
class Found:
    """What a tape gives at a point.

    Attributes:
        loss: L, 0-dimensional.
        gradient: ∇L, shape [P].
        slope: Maps v to R{L} = ⟨∇L, v⟩ by the forward pass of tangents alone, 0-dimensional.
        product: Maps v to H v, shape [P].
    """

    loss: torch.Tensor
    gradient: torch.Tensor
    slope: Callable[[torch.Tensor], torch.Tensor]
    product: Callable[[torch.Tensor], torch.Tensor]


@dataclass(frozen=True)
class _Difference:
    name: str
    error: float
    size: float
    limit: float

    @property
    def is_small(self) -> bool:
        return self.error <= self.limit * self.size


def check_tape(evaluation: Evaluation, found: Found, find: Callable[[], Found]) -> None:
    """Compare loss, gradient, slope and product along a fixed pseudo-random vector with PyTorch's.

    It costs a gradient and a product by double backward, and a product on the tape.

    Args:
        evaluation: What is differentiated.
        found: What the tape to be checked gives.
        find: Records a new tape where the parameters are when it is called.

    Raises:
        CapabilityError: Something differs by more than rounding.
    """
    wrong = [difference for difference in _differences(evaluation, found) if not difference.is_small]
    if not wrong:
        return
    # At a minimum a gradient is rounding alone. How large that is, a point nearby says, where all must agree.
    with evaluation.moved(_values_nearby(evaluation)):
        nearby = {difference.name: difference for difference in _differences(evaluation, find())}
    rounding = _ROUNDINGS * torch.finfo(found.gradient.dtype).eps
    agree = all(difference.is_small for difference in nearby.values())
    for difference in wrong:
        if not (agree and difference.error <= rounding * nearby[difference.name].size):
            relative = difference.error / difference.size if difference.size else difference.error
            raise CapabilityError(
                f"the {difference.name} of the recorded operations differs from PyTorch's by {relative:.1e} of its "
                "size: the model has a derivative of its own somewhere, such as a custom autograd.Function or a hook, "
                "or is another function at each call; use the method 'double_backward'"
            )


def _differences(evaluation: Evaluation, found: Found) -> list[_Difference]:
    generator = torch.Generator().manual_seed(0)
    vector = (torch.rand(found.gradient.shape, generator=generator) - 0.5).to(found.gradient)
    loss, pieces = evaluation.loss_and_gradient(create_graph=True)
    with torch.enable_grad():
        gradient = flattened(pieces)
        slope = gradient @ vector
    dtype = gradient.dtype
    differences = [
        _difference("loss", found.loss, loss, TOLERANCE[dtype]),
        _difference("gradient", found.gradient, gradient, TOLERANCE[dtype]),
        # Its terms may cancel: the size is that of its factors.
        _difference(
            "slope", found.slope(vector), slope, TOLERANCE[dtype], float((gradient.norm() * vector.norm()).detach())
        ),
    ]
    product = _double_backward(evaluation, slope)
    if product is not None:
        with torch.no_grad():
            differences.append(_difference("product", found.product(vector), product, _PRODUCT_TOLERANCE[dtype]))
    return differences


def _double_backward(evaluation: Evaluation, slope: torch.Tensor) -> torch.Tensor | None:
    """Return H v from ⟨∇L, v⟩; None where PyTorch has no second derivative, as of hardsigmoid."""
    if not slope.requires_grad:
        return torch.cat([torch.zeros_like(parameter).reshape(-1) for parameter in evaluation.parameters])
    try:
        return flattened(torch.autograd.grad(slope, evaluation.parameters, materialize_grads=True))
    except RuntimeError as error:
        if "is not implemented" not in str(error):
            raise
        return None


def _difference(
    name: str, found: torch.Tensor, truth: torch.Tensor, limit: float, size: float | None = None
) -> _Difference:
    truth = truth.detach()
    largest = max(float(truth.norm()), float(found.norm())) if size is None else size
    return _Difference(name, float((found - truth).norm()), largest, limit)


def _values_nearby(evaluation: Evaluation) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    values = []
    for parameter in evaluation.parameters:
        draws = torch.randn(parameter.shape, generator=generator, dtype=parameter.dtype).to(parameter.device)
        values.append(parameter.detach() + 0.1 * draws * parameter.detach().square().mean().sqrt())
    return values
