"""AdaHessian: Adam with an estimate of the Hessian's diagonal in place of the gradient.

Source: Yao et al. 2021, algorithm 1, as pytorch-optimizer implements it: m ← β₁ m + (1 − β₁) g; v ← β₂ v + (1 − β₂)
D²; θ ← θ − η m̂ / (v̂^(k/2) + ε), where m̂ and v̂ are m and v without their bias towards 0 and D = z ⊙ H z for random
signs z. β₁ = 0.9, β₂ = 0.999, k = 1 and the learning rate are the paper's for image classification; ε = 1e-4 is of the
authors' program, the paper has none.

What the library leaves out is done here. D of a convolution is averaged over the positions of its kernel, with its
sign (the paper's spatial averaging; the authors' program averages |D|). Where D is estimated every few steps, the last
one enters v at the steps between, because the bias correction of v counts all steps. Weight decay is decoupled.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import torch

from secondorder.curvature.hessian_diagonal import random_signs
from secondorder.curvature.hessian_vector_products import MethodName
from secondorder.optim.hessian_diagonal_optimizer import DiagonalEstimate, HessianDiagonalOptimizer
from secondorder.optim.library_optimizer import library_optimizer
from secondorder.settings import DeclaredSettings, setting


@dataclass(frozen=True)
class Settings(DeclaredSettings):
    """Settings of AdaHessian."""

    learning_rate: float = setting(0.15, "Step size η.", above=0)
    beta1: float = setting(0.9, "Decay β₁ of the mean gradient.", at_least=0, below=1)
    beta2: float = setting(0.999, "Decay β₂ of the mean squared diagonal.", at_least=0, below=1)
    hessian_power: float = setting(1.0, "Power k of the root mean square diagonal.", above=0, at_most=1)
    epsilon: float = setting(1e-4, "Added to the root, against division by 0.", above=0)
    weight_decay: float = setting(0.0, "Decoupled weight decay λ: θ ← θ − η λ θ.", at_least=0)
    spatial_averaging: bool = setting(True, "Average the diagonal over the positions of a convolution's kernel.")
    hessian_period: int = setting(1, "Steps from one estimate of the diagonal to the next.", at_least=1)
    product: MethodName = setting(
        "double_backward",
        "Method of the Hessian-vector products; the default is the fastest where a point takes one product alone.",
    )
    curvature_samples: int = setting(
        0, "Products are over this many samples of the mini-batch, its last ones; 0 is all.", at_least=0
    )


def build(parameters: Iterable[torch.nn.Parameter], settings: Settings) -> HessianDiagonalOptimizer:
    """Return AdaHessian over ``parameters``, of which those that require no gradient are left alone."""
    optimizer = library_optimizer(
        "AdaHessian",
        parameters,
        lr=settings.learning_rate,
        betas=(settings.beta1, settings.beta2),
        hessian_power=settings.hessian_power,
        eps=settings.epsilon,
        weight_decay=settings.weight_decay,
        weight_decouple=True,
    )
    estimate = DiagonalEstimate(
        product=settings.product,
        samples=settings.curvature_samples,
        period=settings.hessian_period,
        noise=random_signs,
        averaged=over_the_kernel if settings.spatial_averaging else torch.Tensor.detach,
        held=True,
    )
    return HessianDiagonalOptimizer(optimizer, estimate)


def over_the_kernel(diagonal: torch.Tensor) -> torch.Tensor:
    """Return a convolution's diagonal with its mean over the kernel at every position; others as they are.

    Args:
        diagonal: Shape [n_out, n_in, *kernel], or that of another parameter.
    """
    if diagonal.ndim <= 2:
        return diagonal
    return diagonal.mean(dim=tuple(range(2, diagonal.ndim)), keepdim=True).expand_as(diagonal).contiguous()
