"""Conjugate gradients within a trust region, and the radius of the next one.

Source: Steihaug 1983; Nocedal & Wright 2006, algorithms 7.2 and 4.1.
"""

import math
from collections.abc import Callable

import torch

from secondorder.errors import InputError
from secondorder.newton.krylov_end import KrylovEnd
from secondorder.newton.krylov_solution import KrylovSolution, check_iteration, not_finite, solution


def steihaug(
    product: Callable[[torch.Tensor], torch.Tensor],
    gradient: torch.Tensor,
    *,
    radius: float,
    steps: int,
    tolerance: float,
) -> KrylovSolution:
    """Minimise gᵀd + ½ dᵀHd over ‖d‖ ≤ Δ in a Krylov space (algorithm 7.2).

    Along a conjugate direction without positive curvature, or one that would leave the region, d goes to the boundary
    and the iteration ends: as disturbed in the first case, at the boundary in the second. Curvature that is noise needs
    no threshold of its own, because the step along it is long and leaves the region.

    Args:
        product: v ↦ H v for a symmetric H, damping included.
        gradient: g, shape [P].
        radius: Δ.
        steps: Most products.
        tolerance: Where ‖r‖ is at or below this share of ‖g‖, d is good enough.

    Raises:
        InputError: The gradient is no flat vector, ``steps`` is below 1, or the radius is not positive.
    """
    check_iteration(gradient, steps)
    if not radius > 0:
        raise InputError(f"radius is {radius}; a trust region needs a positive one")
    direction = torch.zeros_like(gradient)
    residual = -gradient
    squared = float(residual @ residual)
    curvatures: list[float] = []
    if squared == 0:
        return solution(direction, residual, curvatures, KrylovEnd.ZERO_GRADIENT)
    enough = tolerance * math.sqrt(squared)
    conjugate = residual.clone()
    end = KrylovEnd.CAPPED
    while len(curvatures) < steps:
        squared_length = float(conjugate @ conjugate)
        if not math.isfinite(squared_length):
            return not_finite(gradient, curvatures)
        image = product(conjugate)
        along = float(conjugate @ image)
        curvatures.append(along / squared_length)
        if not math.isfinite(along):
            return not_finite(gradient, curvatures)
        to_boundary = length_to_boundary(direction, conjugate, radius)
        if along <= 0 or squared / along >= to_boundary:
            direction.add_(conjugate, alpha=to_boundary)
            residual.sub_(image, alpha=to_boundary)
            end = KrylovEnd.DISTURBED if along <= 0 else KrylovEnd.BOUNDARY
            break
        direction.add_(conjugate, alpha=squared / along)
        residual.sub_(image, alpha=squared / along)
        before, squared = squared, float(residual @ residual)
        if not math.isfinite(squared):
            return not_finite(gradient, curvatures)
        if math.sqrt(squared) <= enough:
            end = KrylovEnd.CONVERGED
            break
        conjugate.mul_(squared / before).add_(residual)
    return solution(direction, residual, curvatures, end)


def length_to_boundary(direction: torch.Tensor, conjugate: torch.Tensor, radius: float) -> float:
    """Return τ ≥ 0 with ‖d + τ p‖ = Δ for ‖d‖ ≤ Δ.

    Args:
        direction: d, shape [P].
        conjugate: p, shape [P], not 0.
        radius: Δ.
    """
    squared = float(conjugate @ conjugate)
    inner = float(direction @ conjugate)
    # Rounding may leave d outside by its last digit.
    room = max(radius**2 - float(direction @ direction), 0.0)
    root = math.sqrt(inner**2 + squared * room)
    # Of the two forms of the root, the one that does not subtract nearly equal numbers.
    return room / (inner + root) if inner > 0 else (root - inner) / squared


def next_radius(radius: float, ratio: float, length: float, largest: float) -> float:
    """Return the radius of the next trust region (algorithm 4.1).

    Δ/4 where the decrease is less than 1/4 of what was predicted; 2Δ, at most ``largest``, where it is more than 3/4
    and the step went to the boundary; Δ otherwise.

    Args:
        radius: Δ.
        ratio: ρ, the actual change over the predicted one; NaN counts as disagreement.
        length: ‖d‖.
        largest: The largest radius.
    """
    if not ratio >= 0.25:
        return radius / 4
    # A direction that was made to end at the boundary misses it by rounding.
    if ratio > 0.75 and length >= (1 - 1e-3) * radius:
        return min(2 * radius, largest)
    return radius
