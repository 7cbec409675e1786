"""A diagonal preconditioner for conjugate gradients.

Source: Martens 2010, section 4.7.
"""

from collections.abc import Callable

import torch

from secondorder.errors import InputError


def diagonal_preconditioner(
    diagonal: torch.Tensor, damping: float, exponent: float
) -> Callable[[torch.Tensor], torch.Tensor]:
    """Return r ↦ M⁻¹ r with M = (D + λ)^ξ, entry by entry.

    An exponent below 1 holds back a diagonal that is no more than an estimate.

    Args:
        diagonal: D, shape [P], no entry negative, such as the diagonal of the empirical Fisher matrix.
        damping: λ, above 0.
        exponent: ξ in [0, 1]; 0 is no preconditioner.

    Raises:
        InputError: D has a negative entry, or the damping is not above 0.
    """
    if not damping > 0:
        raise InputError(f"damping is {damping!r}; the preconditioner needs it above 0, or it may divide by 0")
    if bool((diagonal < 0).any()):
        raise InputError(
            f"the preconditioner's diagonal has the negative entry {float(diagonal.min()):g}; give squares, such as "
            "those of gradients"
        )
    inverse = (diagonal + damping).pow(-exponent)
    return inverse.mul
