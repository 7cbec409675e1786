"""Shampoo: every side of a parameter is preconditioned by a root of the gradients' second moments along it.

Source: Gupta, Koren & Singer 2018, algorithms 1 and 2, as pytorch-optimizer implements it. For a matrix L ← L + G Gᵀ;
R ← R + Gᵀ G; W ← W − η L^(−1/4) G R^(−1/4), both from ε I. For a tensor with n sides the roots are of order 2 n, and a
side's matrix sums over all others; a convolution's weight has four sides, a bias one. ε is the library's default, the
learning rate this project's.

The library's momentum mixes the last preconditioned step into the next gradient, which is not the paper's, and is left
out. The library has no roots before the first multiple of ``root_period`` and would not move until then; here the
first step makes them too. What is counted is in docs/methods.md.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch

from secondorder.curvature.symmetric import EIGEN_PRICE
from secondorder.optim.library_optimizer import library_optimizer, steps_taken
from secondorder.optim.matrix_preconditioned_optimizer import MatrixPreconditionedOptimizer
from secondorder.settings import DeclaredSettings, setting


@dataclass(frozen=True)
class Settings(DeclaredSettings):
    """Settings of Shampoo."""

    learning_rate: float = setting(0.1, "Step size η.", above=0)
    epsilon: float = setting(1e-6, "What every matrix starts from, ε I.", above=0)
    root_period: int = setting(
        50, "Steps from one computation of the roots to the next, which costs the most.", at_least=1
    )
    weight_decay: float = setting(0.0, "Coupled L2 penalty λ, added to the gradient as λθ.", at_least=0)


def build(parameters: Iterable[torch.nn.Parameter], settings: Settings) -> MatrixPreconditionedOptimizer:
    """Return Shampoo over ``parameters``, of which those that require no gradient are left alone."""
    optimizer = library_optimizer(
        "Shampoo",
        parameters,
        lr=settings.learning_rate,
        matrix_eps=settings.epsilon,
        preconditioning_compute_steps=settings.root_period,
        weight_decay=settings.weight_decay,
        weight_decouple=False,
    )

    def also_at_the_first_step(stepping: Any, *_: Any) -> None:
        stepping.preconditioning_compute_steps = settings.root_period if steps_taken(stepping) else 1

    optimizer.register_step_pre_hook(also_at_the_first_step)
    shapes = [tuple(parameter.shape) for parameter in optimizer.param_groups[0]["params"]]

    def multiplications(step: int) -> float:
        return shampoo_multiplications(shapes, roots=step == 1 or step % settings.root_period == 0)

    return MatrixPreconditionedOptimizer(optimizer, multiplications)


def shampoo_multiplications(shapes: Iterable[tuple[int, ...]], *, roots: bool) -> float:
    """Return the multiplications of one step: for N numbers and each side d, 2 N d, and for a root 5.5 d³ (methods.md).

    Args:
        shapes: Those of the parameters.
        roots: Whether the step computes roots.
    """
    total = 0.0
    for shape in shapes:
        numbers = torch.Size(shape).numel()
        total += sum(2 * numbers * side + roots * (EIGEN_PRICE + 1) * side**3 for side in shape)
    return total
