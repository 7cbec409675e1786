"""The diagonal of a Hessian, estimated from products with random vectors."""

from collections.abc import Callable

import torch


def hutchinson_diagonal(product: Callable[[torch.Tensor], torch.Tensor], noise: torch.Tensor) -> torch.Tensor:
    """Return z ⊙ H z, whose mean over z with independent entries of mean 0 and variance 1 is diag(H).

    Entry i is H_ii z_i² + Σ_{j≠i} H_ij z_i z_j. With random signs z_i² = 1, so that the diagonal of a diagonal matrix
    comes out exactly, whatever the signs.

    Source: Bekas, Kokiopoulou & Saad 2007, section 1, for signs; Liu et al. 2023, algorithm 1, for normal numbers.

    Args:
        product: v ↦ H v.
        noise: z, shape [P].

    Returns:
        Shape [P].
    """
    return noise * product(noise)


def random_signs(like: torch.Tensor) -> torch.Tensor:
    """Return independent signs, −1 or 1 with equal chance, in the shape, dtype and device of ``like``."""
    return torch.randint_like(like, 2).mul_(2).sub_(1)
