"""The limited-memory BFGS matrix: an inverse Hessian from a few steps s and gradient differences y.

Source: Nocedal & Wright 2006, algorithm 7.4 (two loops) and procedure 18.2 (damping); Schraudolph, Yu & Günter 2007,
section 3.2 (scale).

All pairs have s·y > 0. Each, from the oldest to the newest, makes of H the matrix (I − ρ s yᵀ) H (I − ρ y sᵀ) + ρ s sᵀ,
ρ = 1 / s·y, which maps y to s; it starts from γ I and is never formed.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from secondorder.errors import InputError


@dataclass(frozen=True)
class CurvaturePair:
    """What one step showed of the Hessian.

    Attributes:
        step: s, shape [P].
        difference: y, what the step changed the gradient by, shape [P]; s·y > 0.
    """

    step: torch.Tensor
    difference: torch.Tensor


def inverse_product(pairs: Sequence[CurvaturePair], vector: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
    """Return H v by the two loops of algorithm 7.4, with four vector operations per pair and no number read.

    Args:
        pairs: From the oldest to the newest.
        vector: v, shape [P].
        scale: γ, 0-dimensional.

    Raises:
        InputError: ``vector`` is not flat.
    """
    if vector.ndim != 1:
        raise InputError(f"the vector has shape {tuple(vector.shape)}; flatten it to one vector")
    image = vector.clone()
    inverses = [1 / torch.dot(pair.step, pair.difference) for pair in pairs]
    shares = []
    for pair, inverse in zip(reversed(pairs), reversed(inverses), strict=True):
        share = inverse * torch.dot(pair.step, image)
        shares.append(share)
        image -= share * pair.difference
    image *= scale
    for pair, inverse, share in zip(pairs, inverses, reversed(shares), strict=True):
        image += (share - inverse * torch.dot(pair.difference, image)) * pair.step
    return image


def mean_scale(pairs: Sequence[CurvaturePair]) -> torch.Tensor:
    """Return γ, the mean of s·y / y·y over all pairs: one mini-batch alone would make it noisy.

    Args:
        pairs: At least one.
    """
    quotients = [torch.dot(pair.step, pair.difference) / torch.dot(pair.difference, pair.difference) for pair in pairs]
    return torch.stack(quotients).mean()


def damped_difference(
    step: torch.Tensor, difference: torch.Tensor, image: torch.Tensor, share: float = 0.2
) -> torch.Tensor:
    """Return Powell's y̅ = t y + (1 − t) B s, with s·y̅ ≥ c s·Bs (procedure 18.2).

    t is 1 where s·y ≥ c s·Bs, and otherwise what makes the two equal: (1 − c) s·Bs / (s·Bs − s·y).

    Args:
        step: s, shape [P].
        difference: y, shape [P].
        image: B s, shape [P], B the inverse of the positive definite H that has been used so far.
        share: c in (0, 1); the default is Powell's.
    """
    along, expected = torch.dot(step, difference), torch.dot(step, image)
    short = along < share * expected
    weight = torch.where(short, (1 - share) * expected / (expected - along), torch.ones_like(along))
    return weight * difference + (1 - weight) * image
