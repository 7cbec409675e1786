"""Conjugate gradients, preconditioned and from any start, that end at the first disturbing direction.

Source: Hestenes & Stiefel 1952, in the form of Nocedal & Wright 2006, algorithm 5.3. The end at a disturbing direction
is this project's reading of the abstract of Shen et al. 2020, defined in docs/methods.md.
"""

import math
from collections.abc import Callable

import torch

from secondorder.errors import InputError
from secondorder.newton.krylov_end import KrylovEnd
from secondorder.newton.krylov_solution import (
    Iterate,
    KrylovSolution,
    Watch,
    check_iteration,
    not_finite,
    solution,
)


def conjugate_gradients(
    product: Callable[[torch.Tensor], torch.Tensor],
    gradient: torch.Tensor,
    *,
    steps: int,
    tolerance: float,
    curvature_tolerance: float,
    end_at_disturbance: bool = True,
    preconditioner: Callable[[torch.Tensor], torch.Tensor] | None = None,
    start: torch.Tensor | None = None,
    watch: Watch | None = None,
) -> KrylovSolution:
    """Solve H d = −g.

    Before each update the curvature κ = pᵀHp / ‖p‖² of the new conjugate direction p is looked at. Where κ is at or
    below ``curvature_tolerance`` times the largest |κ| seen so far, this one included, p is disturbing: its curvature
    is negative, or rounding of larger ones. The iteration ends at once with the d that it has, and with p where it has
    none: that is −M⁻¹g. The threshold is relative, so that the scale of H plays no part. A residual that grows is no
    sign: that of healthy conjugate gradients does.

    Args:
        product: v ↦ H v for a symmetric H, damping included.
        gradient: g, shape [P].
        steps: Most products, without the one that the residual at ``start`` takes.
        tolerance: Where ‖r‖ is at or below this share of ‖g‖, d is good enough.
        curvature_tolerance: The share of the largest curvature that counts as none.
        end_at_disturbance: Without it the iteration goes on through disturbing directions, as plain conjugate gradients
            do, and d may ascend. It ends where the curvature is 0, where they break down.
        preconditioner: r ↦ M⁻¹ r for a positive definite M; by default M = I.
        start: The first d, shape [P], which is left alone; by default 0, and then it takes no product.
        watch: Sees each updated iterate, and ends the iteration as converged where it returns true.

    Raises:
        InputError: The gradient is no flat vector, ``start`` has another shape, or ``steps`` is below 1.
    """
    check_iteration(gradient, steps)
    if start is not None and start.shape != gradient.shape:
        raise InputError(
            f"start has shape {tuple(start.shape)}; it needs that of the gradient, {tuple(gradient.shape)}"
        )
    curvatures: list[float] = []
    length = float(gradient @ gradient)
    if length == 0:
        zeros = torch.zeros_like(gradient)
        return solution(zeros, zeros.clone(), curvatures, KrylovEnd.ZERO_GRADIENT)
    enough = tolerance * math.sqrt(length)
    before = 0 if start is None else 1
    direction = torch.zeros_like(gradient) if start is None else start.clone()
    residual = -gradient if start is None else -gradient - product(start)
    if start is not None and math.sqrt(float(residual @ residual)) <= enough:
        return solution(direction, residual, curvatures, KrylovEnd.CONVERGED, before=before)
    conjugate = residual.clone() if preconditioner is None else preconditioner(residual)
    inner = float(residual @ conjugate)
    end = KrylovEnd.CAPPED
    while len(curvatures) < steps:
        squared_length = float(conjugate @ conjugate)
        if not math.isfinite(squared_length):
            return not_finite(gradient, curvatures, before=before)
        if squared_length == 0:
            # A preconditioned residual whose square is below the smallest number.
            end = KrylovEnd.CONVERGED
            break
        image = product(conjugate)
        along = float(conjugate @ image)
        curvatures.append(along / squared_length)
        if not math.isfinite(along):
            return not_finite(gradient, curvatures, before=before)
        threshold = curvature_tolerance * max(abs(curvature) for curvature in curvatures)
        if along == 0 or (end_at_disturbance and curvatures[-1] <= threshold):
            if len(curvatures) == 1 and start is None:
                direction, residual = conjugate, residual - image
            end = KrylovEnd.DISTURBED
            break
        direction.add_(conjugate, alpha=inner / along)
        residual.sub_(image, alpha=inner / along)
        squared = float(residual @ residual)
        if not math.isfinite(squared):
            return not_finite(gradient, curvatures, before=before)
        wanted = watch is None or not watch(Iterate(len(curvatures), direction, residual, gradient))
        if math.sqrt(squared) <= enough or not wanted:
            end = KrylovEnd.CONVERGED
            break
        towards = residual if preconditioner is None else preconditioner(residual)
        previous, inner = inner, squared if preconditioner is None else float(residual @ towards)
        conjugate.mul_(inner / previous).add_(towards)
    return solution(direction, residual, curvatures, end, before=before)
