"""The matrix B that L-BFGS learns from a few steps and gradient differences: its approximation of the Hessian itself.

Source: Nocedal & Wright 2006, equation 6.19 (the update) and section 7.2 (γ, and that B differs from γ I in the span of
the pairs alone, which is its compact representation 7.24). Derived in docs/methods.md, section "Approximations of a
Hessian".
"""

from collections.abc import Sequence

import torch
from torch import nn

from secondorder.curvature.activation_hessian import LossFunction
from secondorder.curvature.evaluation import Evaluation
from secondorder.curvature.flat_vectors import flattened, split_like
from secondorder.curvature.forms.low_rank import LowRankForm
from secondorder.errors import InputError

Pair = tuple[torch.Tensor, torch.Tensor]
"""A step s and what it changed the gradient by, y, each of shape [P]."""


def limited_memory_form(pairs: Sequence[Pair]) -> LowRankForm:
    """Return B: from γ I, γ = y·y / s·y of the newest pair, each pair makes B − B s sᵀB / (s·B s) + y yᵀ / (s·y) of it.

    All s and y lie in the span of at most 2m orthonormal vectors Q, outside of which B stays γ I. So the updates are
    made of Qᵀ B Q, whose eigenvalues, with γ for the other P − 2m, are those of B.

    Args:
        pairs: (s, y) from the oldest to the newest, each of shape [P]. Pairs whose s·y is not above the rounding of
            ‖s‖‖y‖ are skipped; where none is left, B is I, as for L-BFGS before its first pair.

    Raises:
        InputError: There are no pairs, or one has entries that are not finite.
    """
    if not pairs:
        raise InputError("there are no pairs of a step and a gradient difference; give at least one")
    for number, pair in enumerate(pairs):
        if not all(bool(torch.isfinite(part).all()) for part in pair):
            raise InputError(f"pair {number} has entries that are not finite; leave it out, or take shorter steps")
    kept = [(step, change) for step, change in pairs if _is_curved(step, change)]
    like = pairs[0][0]
    if not kept:
        return LowRankForm(like.new_zeros(0), like.new_zeros(len(like), 0), 1.0)
    step, change = kept[-1]
    scale = float(torch.dot(change, change) / torch.dot(step, change))
    # By length, so that the factorization is not that of the longest ones alone.
    directions = torch.stack([part / part.norm() for pair in kept for part in pair], dim=1)
    basis = torch.linalg.qr(directions).Q
    inside = scale * torch.eye(basis.shape[1], dtype=like.dtype, device=like.device)
    for step, change in kept:
        inside = _updated(inside, basis.T @ step, basis.T @ change)
    values, vectors = torch.linalg.eigh(inside)
    return LowRankForm(values, basis @ vectors, scale)


def gradient_descent_pairs(
    model: nn.Module,
    loss: LossFunction,
    inputs: torch.Tensor,
    targets: torch.Tensor,
    count: int,
    learning_rate: float,
) -> list[Pair]:
    """Return what steps −η ∇L of gradient descent on one batch show of its Hessian, from the oldest to the newest.

    The model is where it was afterwards.

    Args:
        model: The network; its current parameters are the start.
        loss: Maps outputs and targets to a 0-dimensional tensor.
        inputs: Inputs, batch first.
        targets: Targets, batch first.
        count: How many steps.
        learning_rate: η.

    Raises:
        InputError: Model and batch do not fit each other, ``count`` is below 1 or η not above 0, or the loss is not
            finite after a step.
    """
    if count < 1:
        raise InputError(f"count is {count}; it must be at least 1")
    if not learning_rate > 0:
        raise InputError(f"learning_rate is {learning_rate!r}; it must be above 0")
    evaluation = Evaluation.of(model, loss, inputs, targets, None)
    point = flattened([parameter.detach() for parameter in evaluation.parameters])
    gradient = flattened(evaluation.loss_and_gradient()[1])
    pairs = []
    for _ in range(count):
        step = -learning_rate * gradient
        point = point + step
        with evaluation.moved(split_like(point, evaluation.parameters)):
            moved = flattened(evaluation.loss_and_gradient()[1])
        pairs.append((step, moved - gradient))
        gradient = moved
    return pairs


def _is_curved(step: torch.Tensor, change: torch.Tensor) -> bool:
    along = torch.dot(step, change)
    return bool(along > torch.finfo(step.dtype).eps * step.norm() * change.norm())


def _updated(matrix: torch.Tensor, step: torch.Tensor, change: torch.Tensor) -> torch.Tensor:
    """Return B − B s sᵀB / (s·B s) + y yᵀ / (s·y)."""
    image = matrix @ step
    lost = torch.outer(image, image) / torch.dot(step, image)
    return matrix - lost + torch.outer(change, change) / torch.dot(step, change)
