"""Spectral adjustments: what a Newton step divides by in each eigendirection.

With eigenvalues Λ of the loss's Hessian, the regularization λ (weight decay, a part of the objective) and the damping μ
(a part of the step), the direction is d = −Q φ(Λ)⁻¹ Qᵀ (g + λθ). Derived in docs/methods.md, section 1.
"""

import math
from collections.abc import Callable
from typing import Literal, get_args

import torch

from secondorder.errors import ConfigurationError

AdjustmentName = Literal["newton", "absolute", "positive", "flat"]
ADJUSTMENTS: tuple[AdjustmentName, ...] = get_args(AdjustmentName)


def newton(eigenvalues: torch.Tensor) -> torch.Tensor:
    """Return Λ: plain Newton, which goes up where the curvature is negative."""
    return eigenvalues


def absolute(eigenvalues: torch.Tensor) -> torch.Tensor:
    """Return |Λ|: the absolute Hessian, whose step is always downhill (saddle-free; Dauphin et al. 2014)."""
    return eigenvalues.abs()


def positive(eigenvalues: torch.Tensor) -> torch.Tensor:
    """Return max(Λ, 0): directions of negative curvature count as flat, and only λ + μ holds the step there."""
    return eigenvalues.clamp(min=0)


def flat(eigenvalues: torch.Tensor) -> torch.Tensor:
    """Return |Λ| (1 + |Λ|/σ) where Λ ≥ 0 and |Λ| / (1 + |Λ|/σ) where Λ < 0, σ = ΣΛ² / Σ|Λ|.

    Steps along sharp directions are shorter than with |Λ|, so that they end less deep in a sharp valley; steps along
    directions of negative curvature are longer, at least as long as σ would make them, so that a saddle is left. σ, the
    mean of |Λ| weighted by itself, is the same however many zeros the spectrum has. This project's own choice.
    """
    size = eigenvalues.abs()
    if not size.numel():
        return size
    # By parts of the largest, so that no square is lost below the smallest number.
    largest = size.amax(-1, keepdim=True)
    part = size / torch.where(largest > 0, largest, 1)
    squares = (part * part).sum(-1, keepdim=True)
    relative = part * part.sum(-1, keepdim=True) / torch.where(squares > 0, squares, 1)
    return torch.where(eigenvalues < 0, size / (1 + relative), size * (1 + relative))


_FUNCTIONS: dict[AdjustmentName, Callable[[torch.Tensor], torch.Tensor]] = {
    "newton": newton,
    "absolute": absolute,
    "positive": positive,
    "flat": flat,
}


def divisor(
    eigenvalues: torch.Tensor, adjustment: AdjustmentName, damping: float, regularization: float = 0.0
) -> torch.Tensor:
    """Return φ(Λ) = adjusted Λ + λ + μ.

    Args:
        eigenvalues: Λ, shape [..., r].
        adjustment: One of :data:`ADJUSTMENTS`.
        damping: μ.
        regularization: λ.

    Raises:
        ConfigurationError: There is no such adjustment, or damping or regularization is negative.
    """
    if adjustment not in _FUNCTIONS:
        raise ConfigurationError(f"there is no adjustment {adjustment!r}; there are {', '.join(ADJUSTMENTS)}")
    for name, value in (("damping", damping), ("weight_decay", regularization)):
        if not (isinstance(value, (int, float)) and 0 <= value < math.inf):
            raise ConfigurationError(f"{name} is {value!r}; it must be a finite number, at least 0")
    return _FUNCTIONS[adjustment](eigenvalues) + (regularization + damping)


def divide(numbers: torch.Tensor, divisors: torch.Tensor, shift: float = 0.0) -> torch.Tensor:
    """Return numbers / divisors, and 0 where a divisor is 0 up to rounding (the pseudo-inverse).

    Args:
        numbers: Shape [..., r].
        divisors: Shape [..., r].
        shift: λ + μ, which the divisors hold: one that a small eigenvalue leaves at λ + μ is known well, however small,
            and only one that a negative eigenvalue brings below half of it can be rounding alone.
    """
    largest = divisors.abs().amax(-1, keepdim=True) if divisors.shape[-1] else divisors.new_zeros(())
    small = divisors.abs() <= largest * torch.finfo(divisors.dtype).eps * max(divisors.shape[-1], 1)
    if shift:
        small &= divisors < shift / 2
    return torch.where(small, 0, numbers / torch.where(small, 1, divisors))
