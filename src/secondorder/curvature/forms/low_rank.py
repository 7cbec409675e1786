"""A matrix that is a multiple of the identity but for a few eigenpairs."""

from dataclasses import dataclass

import torch

from secondorder.curvature.eigenbasis import Eigenbasis
from secondorder.curvature.forms.symmetric_form import (
    Spectrum,
    check_gradient,
    check_vectors,
    exact_pairs,
    leading_positions,
    saddle_free_quotient,
)
from secondorder.errors import InputError


@dataclass(frozen=True)
class LowRankForm:
    """M = V diag(s) Vᵀ + b (I − V Vᵀ).

    Attributes:
        values: s, shape [r], in any order.
        vectors: V, shape [P, r], orthonormal columns.
        background: b, the eigenvalue of everything that is orthogonal to V.

    Raises:
        InputError: Values and vectors do not fit each other.
    """

    values: torch.Tensor
    vectors: torch.Tensor
    background: float = 0.0

    def __post_init__(self) -> None:
        """Check that there is one value for each vector."""
        if self.vectors.ndim != 2 or self.values.shape != self.vectors.shape[1:]:
            raise InputError(
                f"{tuple(self.values.shape)} values and vectors of shape {tuple(self.vectors.shape)}; give one value "
                "for each column"
            )

    @classmethod
    def of_significant(cls, values: torch.Tensor, vectors: torch.Tensor) -> "LowRankForm":
        """Return V diag(s) Vᵀ without the pairs whose |s| is rounding; see :func:`significant`.

        Args:
            values: s, shape [r].
            vectors: V, shape [P, r], orthonormal columns.
        """
        kept = significant(values)
        return cls(values[kept], vectors[:, kept])

    @property
    def size(self) -> int:
        """P."""
        return len(self.vectors)

    @property
    def numbers(self) -> int:
        """Those of s and V, r (P + 1), and b where it is not 0."""
        return self.values.numel() + self.vectors.numel() + int(self.background != 0)

    def spectrum(self) -> Spectrum:
        """Return s, and b for the other P − r."""
        rest = self.size - len(self.values)
        own = Spectrum.of(self.values)
        if not rest:
            return own
        others = own.counts.new_full((1,), rest)
        return Spectrum.joined([own, Spectrum(self.values.new_full((1,), self.background), others)])

    def leading(self, count: int) -> Eigenbasis:
        """Return ``count`` pairs of largest |λ|; see the protocol."""
        rank = len(self.values)
        background = self.values.new_full((min(count, self.size - rank),), self.background)
        candidates = torch.cat([self.values, background])
        chosen = leading_positions(candidates, count, self.size)
        across = chosen >= rank
        vectors = self.vectors.new_empty(self.size, count)
        vectors[:, ~across] = self.vectors[:, chosen[~across]]
        vectors[:, across] = orthonormal_complement(self.vectors, int(across.sum()))
        return exact_pairs(candidates[chosen], vectors)

    def applied(self, vectors: torch.Tensor) -> torch.Tensor:
        """Return M V; see the protocol."""
        check_vectors(vectors, self.size)
        along = self.vectors.T @ vectors
        image = self.vectors @ ((self.values - self.background)[:, None] * along)
        return image + self.background * vectors if self.background else image

    def direction(self, gradient: torch.Tensor, damping: float) -> torch.Tensor:
        """Return −(|M| + μ)⁻¹ g; see the protocol."""
        check_gradient(gradient, self.size)
        along = self.vectors.T @ gradient
        inside = saddle_free_quotient(along, self.values, damping)
        divisor = abs(self.background) + damping
        if divisor == 0:
            return -(self.vectors @ inside)
        return -(self.vectors @ (inside - along / divisor) + gradient / divisor)


def significant(values: torch.Tensor) -> torch.Tensor:
    """Return which eigenvalues are no rounding: |s| above r ε max |s|, ε that of the dtype, shape [r].

    A decomposition of an r × r matrix knows its eigenvalues to this error, so that nothing is lost without the others.

    Args:
        values: All r eigenvalues of the matrix that was decomposed.
    """
    sizes = values.abs()
    largest = sizes.max() if len(values) else 0.0
    # Not "above": what is no number stays to be seen.
    return ~(sizes <= len(values) * torch.finfo(values.dtype).eps * largest)


def orthonormal_complement(vectors: torch.Tensor, count: int) -> torch.Tensor:
    """Return ``count`` orthonormal vectors that are orthogonal to given ones, shape [P, count].

    The Householder reflections of their QR factorization make a whole orthonormal basis, of which these are the columns
    behind the first r (Golub & Van Loan 2013, section 5.2).

    Args:
        vectors: V, shape [P, r], of full rank.
        count: At most P − r.
    """
    size, rank = vectors.shape
    columns = vectors.new_zeros(size, count)
    columns[rank : rank + count].fill_diagonal_(1)
    if not count:
        return columns
    reflectors, factors = torch.geqrf(vectors)
    return torch.ormqr(reflectors, factors, columns)
