"""Sophia-H: the mean gradient over a mean diagonal of the Hessian, every entry of a step clipped.

Source: Liu et al. 2023, algorithms 1 and 3, as pytorch-optimizer implements it: m ← β₁ m + (1 − β₁) g; every k steps h
← β₂ h + (1 − β₂) z ⊙ H z, z of independent normal numbers; θ ← θ − η clip(m / max(γ h, ε), −1, 1). Where h is not
positive the step is η times the sign of m. The defaults are the paper's, but for the learning rate, which is that of
Adam here, and the weight decay (decoupled), which is none.

The library follows the paper's first version, η′ clip(m / max(h, ε′), −ρ, ρ); it is the same with ρ = γ, η′ = η / γ
and ε′ = ε / γ, and with weight decay λ′ = γ λ.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import torch

from secondorder.curvature.hessian_vector_products import MethodName
from secondorder.optim.hessian_diagonal_optimizer import DiagonalEstimate, HessianDiagonalOptimizer
from secondorder.optim.library_optimizer import library_optimizer
from secondorder.settings import DeclaredSettings, setting


@dataclass(frozen=True)
class Settings(DeclaredSettings):
    """Settings of Sophia-H."""

    learning_rate: float = setting(1e-3, "Step size η, the most that an entry moves in a step.", above=0)
    beta1: float = setting(0.96, "Decay β₁ of the mean gradient.", at_least=0, below=1)
    beta2: float = setting(0.99, "Decay β₂ of the mean diagonal, from estimate to estimate.", at_least=0, below=1)
    gamma: float = setting(0.01, "γ, by which h is multiplied: the smaller, the more entries are clipped.", above=0)
    epsilon: float = setting(1e-12, "Smallest divisor ε, of entries without positive curvature.", above=0)
    weight_decay: float = setting(0.0, "Decoupled weight decay λ: θ ← θ − η λ θ.", at_least=0)
    hessian_period: int = setting(10, "k, steps from one estimate of the diagonal to the next.", at_least=1)
    product: MethodName = setting(
        "double_backward",
        "Method of the Hessian-vector products; the default is the fastest where a point takes one product alone.",
    )
    curvature_samples: int = setting(
        0, "Products are over this many samples of the mini-batch, its last ones; 0 is all.", at_least=0
    )


def build(parameters: Iterable[torch.nn.Parameter], settings: Settings) -> HessianDiagonalOptimizer:
    """Return Sophia-H over ``parameters``, of which those that require no gradient are left alone."""
    optimizer = library_optimizer(
        "SophiaH",
        parameters,
        lr=settings.learning_rate / settings.gamma,
        betas=(settings.beta1, settings.beta2),
        p=settings.gamma,
        eps=settings.epsilon / settings.gamma,
        weight_decay=settings.weight_decay * settings.gamma,
        weight_decouple=True,
        update_period=settings.hessian_period,
    )
    estimate = DiagonalEstimate(
        product=settings.product,
        samples=settings.curvature_samples,
        period=settings.hessian_period,
        noise=torch.randn_like,
    )
    return HessianDiagonalOptimizer(optimizer, estimate)
