"""A few eigenpairs of a Hessian: an orthonormal basis of a subspace, and the curvature along each of its vectors.

From a Lanczos basis they are Ritz pairs: λ_i = q_iᵀ H q_i, with the residual ‖H q_i − λ_i q_i‖, which bounds the
distance of λ_i to an eigenvalue (Golub & Van Loan 2013, section 10.1). A Krylov space holds one direction of each
eigenspace, so of an eigenvalue that H has several times there is one pair.
"""

from dataclasses import dataclass

import torch

from secondorder.curvature.lanczos import LanczosBasis


@dataclass(frozen=True)
class Eigenbasis:
    """Eigenpairs (λ_i, q_i).

    Attributes:
        values: λ, shape [r], ascending.
        vectors: Q = [q_1 …], shape [P, r], orthonormal columns.
        residuals: ‖H q_i − λ_i q_i‖, shape [r].
    """

    values: torch.Tensor
    vectors: torch.Tensor
    residuals: torch.Tensor

    @classmethod
    def empty(cls, like: torch.Tensor) -> "Eigenbasis":
        """Return no pairs, for vectors that look ``like`` this one, shape [P]."""
        return cls(like.new_zeros(0), like.new_zeros(len(like), 0), like.new_zeros(0))

    def split(self, vector: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return Qᵀv, shape [r], and what is outside of the span, v − QQᵀv, shape [P]."""
        inside = self.vectors.T @ vector
        return inside, vector - self.vectors @ inside


def leading(krylov: LanczosBasis, count: int) -> Eigenbasis:
    """Return the ``count`` Ritz pairs of largest |λ|, or all where there are fewer."""
    values, vectors, residuals = krylov.eigenpairs()
    chosen = values.abs().argsort(descending=True)[:count].sort().values
    return Eigenbasis(values[chosen], vectors[:, chosen], residuals[chosen])


def extreme(krylov: LanczosBasis, largest: int, smallest: int) -> Eigenbasis:
    """Return the Ritz pairs at the two ends of the spectrum, by sign and not by size.

    Args:
        krylov: The Lanczos basis.
        largest: How many at the upper end; they come first where there are too few for both.
        smallest: How many at the lower end.
    """
    values, vectors, residuals = krylov.eigenpairs()
    upper = min(largest, len(values))
    lower = min(smallest, len(values) - upper)
    positions = torch.arange(len(values), device=values.device)
    chosen = torch.cat([positions[:lower], positions[len(values) - upper :]])
    return Eigenbasis(values[chosen], vectors[:, chosen], residuals[chosen])
