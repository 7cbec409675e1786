"""What an iteration in a Krylov space hands back: a direction, how good it is, and why the iteration ended."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from secondorder.errors import InputError
from secondorder.newton.krylov_end import KrylovEnd


@dataclass(frozen=True)
class Iterate:
    """A direction on the way, with tensors that the next one is written into.

    Attributes:
        number: i, the number of updates that made it.
        direction: d, shape [P].
        residual: r = −g − H d, shape [P].
        gradient: g, shape [P].
    """

    number: int
    direction: torch.Tensor
    residual: torch.Tensor
    gradient: torch.Tensor

    def change(self) -> float:
        """Return φ(d) = gᵀd + ½ dᵀHd = ½ dᵀ(g − r), the model's change with whatever damping H has."""
        return float(self.direction @ self.gradient - self.direction @ self.residual) / 2


Watch = Callable[[Iterate], bool]
"""Sees each iterate, and says whether it is good enough to end with."""


@dataclass(frozen=True)
class KrylovSolution:
    """An approximate solution of H d = −g.

    Attributes:
        direction: d, shape [P]; NaN where ``end`` is not finite.
        residual: r = −g − H d, shape [P], so that H d = −g − r needs no further product.
        products: Products with H that were used.
        end: Why the iteration ended.
        first_curvature: pᵀHp / ‖p‖² of the first conjugate direction, p = −g without a preconditioner and a start; NaN
            where there was none.
        smallest_curvature: Smallest of all conjugate directions.
        largest_curvature: Largest of them.
    """

    direction: torch.Tensor
    residual: torch.Tensor
    products: int
    end: KrylovEnd
    first_curvature: float
    smallest_curvature: float
    largest_curvature: float


def solution(
    direction: torch.Tensor, residual: torch.Tensor, curvatures: Sequence[float], end: KrylovEnd, *, before: int = 0
) -> KrylovSolution:
    """Return the solution with the first and the extremes of its curvatures, of which each took one product.

    Args:
        direction: d.
        residual: r.
        curvatures: Of the conjugate directions, in their order.
        end: Why the iteration ended.
        before: Products that were used before the first conjugate direction.
    """
    known = curvatures or [float("nan")]
    return KrylovSolution(direction, residual, before + len(curvatures), end, known[0], min(known), max(known))


def not_finite(gradient: torch.Tensor, curvatures: Sequence[float], *, before: int = 0) -> KrylovSolution:
    """Return a direction of NaN: a step along it says by itself that numbers were lost."""
    nowhere = torch.full_like(gradient, torch.nan)
    return solution(nowhere, nowhere, curvatures, KrylovEnd.NOT_FINITE, before=before)


def check_iteration(gradient: torch.Tensor, steps: int) -> None:
    """Check what an iteration starts from.

    Raises:
        InputError: The gradient is no flat vector, or no product is allowed.
    """
    if gradient.ndim != 1:
        raise InputError(f"the gradient has shape {tuple(gradient.shape)}; flatten it to one vector")
    if steps < 1:
        raise InputError(f"steps is {steps}; allow at least one product")
