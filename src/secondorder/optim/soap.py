"""SOAP: Adam in the eigenvectors of Shampoo's matrices.

Source: Vyas et al. 2024, algorithm 3, as pytorch-optimizer implements it. For a matrix L ← β₂ L + (1 − β₂) G Gᵀ and R
likewise, with eigenvectors Q_L and Q_R. Adam's first moment is kept of G, its second of Q_Lᵀ G Q_R; the step is Adam's
in these coordinates, turned back. Every ``basis_period`` steps a power iteration and a QR factorization follow the
matrices. A convolution's weight has four sides, each with its matrix; a bias is left to Adam. The defaults are the
paper's but for the weight decay (decoupled), which is none.

As in the authors' program the first mini-batch moves nothing: it makes the first eigenvectors. The library's QR is in
single precision whatever that of the parameters. What is counted is in docs/methods.md.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import torch

from secondorder.curvature.symmetric import EIGEN_PRICE
from secondorder.optim.library_optimizer import library_optimizer
from secondorder.optim.matrix_preconditioned_optimizer import MatrixPreconditionedOptimizer
from secondorder.settings import DeclaredSettings, setting

QR_PRICE = 4 / 3
"""Multiplications of a QR factorization by Householder's method with Q formed, over d³."""


@dataclass(frozen=True)
class Settings(DeclaredSettings):
    """Settings of SOAP."""

    learning_rate: float = setting(3e-3, "Step size η.", above=0)
    beta1: float = setting(0.95, "Decay β₁ of the mean gradient.", at_least=0, below=1)
    beta2: float = setting(
        0.95, "Decay β₂ of the mean squared gradient in the eigenvectors, and of the matrices.", at_least=0, below=1
    )
    epsilon: float = setting(1e-8, "Added to the root, against division by 0.", above=0)
    weight_decay: float = setting(0.0, "Decoupled weight decay λ: θ ← θ − η λ θ.", at_least=0)
    basis_period: int = setting(10, "Steps from one update of the eigenvectors to the next.", at_least=1)
    largest_side: int = setting(10_000, "Sides longer than this keep their own coordinates.", at_least=1)


def build(parameters: Iterable[torch.nn.Parameter], settings: Settings) -> MatrixPreconditionedOptimizer:
    """Return SOAP over ``parameters``, of which those that require no gradient are left alone."""
    optimizer = library_optimizer(
        "SOAP",
        parameters,
        lr=settings.learning_rate,
        betas=(settings.beta1, settings.beta2),
        eps=settings.epsilon,
        weight_decay=settings.weight_decay,
        precondition_frequency=settings.basis_period,
        max_precondition_dim=settings.largest_side,
    )
    shapes = [tuple(parameter.shape) for parameter in optimizer.param_groups[0]["params"]]

    def multiplications(step: int) -> float:
        return soap_multiplications(shapes, settings.largest_side, step, settings.basis_period)

    return MatrixPreconditionedOptimizer(optimizer, multiplications)


def soap_multiplications(shapes: Iterable[tuple[int, ...]], largest_side: int, step: int, period: int) -> float:
    """Return the multiplications of one step (methods.md).

    For N numbers and each side d that has a matrix: N d and 4.5 d³ at the first step; 4 N d at others, and 7/3 d³
    besides where the eigenvectors are updated.

    Args:
        shapes: Those of the parameters.
        largest_side: The longest side that has a matrix.
        step: The number of the step, from 1; the first one moves nothing.
        period: Steps between updates of the eigenvectors.
    """
    first = step == 1
    updates = not first and (step - 1) % period == 0
    total = 0.0
    for shape in shapes:
        numbers = torch.Size(shape).numel()
        sides = [side for side in shape if side <= largest_side] if len(shape) > 1 else []
        total += (1 if first else 4) * numbers * sum(sides)
        total += (EIGEN_PRICE if first else updates * (1 + QR_PRICE)) * sum(side**3 for side in sides)
    return total
