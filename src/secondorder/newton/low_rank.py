"""Newton steps from a few eigenpairs: saddle-free in their span, and a gradient step outside of it.

Source: Dauphin et al. 2014, the absolute Hessian |H| in a Krylov space; the step outside is this project's own. Derived
in docs/methods.md, section "Low rank".
"""

import torch

from secondorder.curvature.adjustments import divide, divisor
from secondorder.curvature.eigenbasis import Eigenbasis
from secondorder.errors import InputError


def newton_inside(basis: Eigenbasis, inside: torch.Tensor, damping: float) -> torch.Tensor:
    """Return −Q (|Λ| + μ)⁻¹ Qᵀg, shape [P]; 0 along a q_i whose divisor is 0.

    Args:
        basis: The eigenpairs.
        inside: Qᵀg, shape [r].
        damping: μ.

    Raises:
        ConfigurationError: μ is negative.
    """
    return -(basis.vectors @ divide(inside, divisor(basis.values, "absolute", damping), damping))


def low_rank_direction(basis: Eigenbasis, gradient: torch.Tensor, damping: float) -> torch.Tensor:
    """Return d = −Q (|Λ| + μ)⁻¹ Qᵀg − (g − QQᵀg) / (σ + μ), shape [P], σ the smallest |λ_i|.

    Where the pairs are the leading ones, no curvature outside of their span is larger than σ, so the step there is not
    too long along any of it. It always descends: d = −M g with M positive definite.

    Args:
        basis: The eigenpairs; σ = 0 where there are none.
        gradient: g, shape [P].
        damping: μ, above 0.

    Raises:
        InputError: μ is not positive.
    """
    if not damping > 0:
        raise InputError(f"damping is {damping}; give a positive one, which bounds the step where curvature is zero")
    inside, outside = basis.split(gradient)
    scale = basis.values.abs().amin() if len(basis.values) else 0.0
    return newton_inside(basis, inside, damping) - outside / (scale + damping)
