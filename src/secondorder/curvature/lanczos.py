"""The Lanczos process: a small eigenproblem in place of a large one.

Source: Golub & Van Loan 2013, section 10.1, with full reorthogonalization.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class LanczosBasis:
    """An orthonormal basis V of the Krylov space of a start vector, and the tridiagonal T = Vᵀ H V.

    Attributes:
        basis: V, shape [P, k]; its first column is the start vector over its length.
        tridiagonal: T, shape [k, k].
        remaining: ‖H v_k − …‖ after the last step: β_k, 0 where the Krylov space is invariant.
    """

    basis: torch.Tensor
    tridiagonal: torch.Tensor
    remaining: float

    def eigenpairs(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return Ritz values [k] in ascending order, Ritz vectors [P, k] and their residuals ‖H y − θ y‖ [k].

        All are NaN where a product was not finite.
        """
        if not torch.isfinite(self.tridiagonal).all():
            unknown = self.tridiagonal[0] * torch.nan
            return unknown, self.basis * torch.nan, unknown
        values, vectors = torch.linalg.eigh(self.tridiagonal)
        return values, self.basis @ vectors, self.remaining * vectors[-1].abs()


def lanczos(product: Callable[[torch.Tensor], torch.Tensor], start: torch.Tensor, steps: int) -> LanczosBasis:
    """Return the Krylov basis after ``steps`` products, or fewer where the space is invariant or a product not finite.

    Args:
        product: v ↦ H v for a symmetric H.
        start: The start vector, shape [P], not 0.
        steps: Most products.
    """
    smallest = torch.finfo(start.dtype).eps * len(start) ** 0.5
    most = min(steps, len(start))
    # Vectors are rows: each step reads all of them, and appends one.
    rows = start.new_empty(most, len(start))
    rows[0] = start / start.norm()
    diagonal: list[float] = []
    beside: list[float] = []
    scale = 0.0
    for count in range(1, most + 1):
        image = product(rows[count - 1])
        diagonal.append(float(rows[count - 1] @ image))
        # Twice: once leaves what rounding puts back.
        image = image - (rows[:count] @ image) @ rows[:count]
        image = image - (rows[:count] @ image) @ rows[:count]
        length = float(image.norm())
        scale = max(scale, abs(diagonal[-1]), length)
        if count == most or length <= smallest * scale or not math.isfinite(length):
            break
        beside.append(length)
        rows[count] = image / length
    main = torch.diag(torch.tensor(diagonal, dtype=start.dtype, device=start.device))
    side = torch.tensor(beside, dtype=start.dtype, device=start.device)
    tridiagonal = main + torch.diag(side, 1) + torch.diag(side, -1) if beside else main
    return LanczosBasis(rows[:count].T, tridiagonal, length)
