"""Conjugate gradients that end at the first disturbing direction.

Source: Hestenes & Stiefel 1952, in the form of Nocedal & Wright 2006, algorithm 5.2. The end at a disturbing direction
is this project's reading of the abstract of Shen et al. 2020, defined in docs/methods.md.
"""

import math
from collections.abc import Callable

import torch

from secondorder.newton.krylov_solution import KrylovEnd, KrylovSolution, check_iteration, not_finite, solution


def conjugate_gradients(
    product: Callable[[torch.Tensor], torch.Tensor],
    gradient: torch.Tensor,
    *,
    steps: int,
    tolerance: float,
    curvature_tolerance: float,
    end_at_disturbance: bool = True,
) -> KrylovSolution:
    """Solve H d = −g from d = 0.

    Before each update the curvature κ = pᵀHp / ‖p‖² of the new conjugate direction p is looked at. Where κ is at or
    below ``curvature_tolerance`` times the largest |κ| seen so far, this one included, p is disturbing: its curvature
    is negative, or rounding of larger ones. The iteration ends at once with the d that it has, and with −g where it has
    none. The threshold is relative, so that the scale of H plays no part. A residual that grows is no sign: that of
    healthy conjugate gradients does.

    Args:
        product: v ↦ H v for a symmetric H, damping included.
        gradient: g, shape [P].
        steps: Most products.
        tolerance: Where ‖r‖ is at or below this share of ‖g‖, d is good enough.
        curvature_tolerance: The share of the largest curvature that counts as none.
        end_at_disturbance: Without it the iteration goes on through disturbing directions, as plain conjugate gradients
            do, and d may ascend. It ends where the curvature is 0, where they break down.

    Raises:
        InputError: The gradient is no flat vector, or ``steps`` is below 1.
    """
    check_iteration(gradient, steps)
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
        threshold = curvature_tolerance * max(abs(curvature) for curvature in curvatures)
        if along == 0 or (end_at_disturbance and curvatures[-1] <= threshold):
            if len(curvatures) == 1:
                direction, residual = conjugate, residual - image
            end = KrylovEnd.DISTURBED
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
