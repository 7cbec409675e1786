"""What every symmetric matrix of this package can say: its spectrum, leading pairs, products and Newton direction."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch

from secondorder.curvature.adjustments import divide, divisor
from secondorder.curvature.eigenbasis import Eigenbasis
from secondorder.errors import InputError


@dataclass(frozen=True)
class Spectrum:
    """All P eigenvalues of a symmetric matrix.

    Attributes:
        values: λ, shape [m], ascending; one may stand there several times.
        counts: How often each entry of ``values`` counts, int64, shape [m]; their sum is P.
    """

    values: torch.Tensor
    counts: torch.Tensor

    @classmethod
    def of(cls, values: torch.Tensor, counts: torch.Tensor | None = None) -> "Spectrum":
        """Return the spectrum of eigenvalues in any order.

        Args:
            values: λ, shape [m].
            counts: How often each counts, shape [m]; once when absent.
        """
        order = values.argsort()
        counts = torch.ones_like(values, dtype=torch.int64) if counts is None else counts
        return cls(values[order], counts[order])

    @classmethod
    def joined(cls, spectra: Sequence["Spectrum"]) -> "Spectrum":
        """Return the spectrum of a block-diagonal matrix from those of its blocks."""
        return cls.of(torch.cat([each.values for each in spectra]), torch.cat([each.counts for each in spectra]))

    @property
    def trace(self) -> float:
        """The sum of all eigenvalues."""
        return float((self.values * self.counts).sum())

    @property
    def squared_norm(self) -> float:
        """The sum of their squares, which is the square of the Frobenius norm."""
        return float((self.values.square() * self.counts).sum())


class SymmetricForm(Protocol):
    """A symmetric matrix M, P × P, in a form that gives its whole spectrum without storing it."""

    @property
    def size(self) -> int:
        """P."""
        ...

    @property
    def numbers(self) -> int:
        """How many floating-point numbers represent M; its memory over the bytes of one."""
        ...

    def spectrum(self) -> Spectrum:
        """Return all P eigenvalues."""
        ...

    def leading(self, count: int) -> Eigenbasis:
        """Return ``count`` eigenpairs of largest |λ|, ascending in λ, with residuals of 0.

        Within an eigenspace any orthonormal vectors may be returned.

        Raises:
            InputError: ``count`` is not between 1 and P.
        """
        ...

    def applied(self, vectors: torch.Tensor) -> torch.Tensor:
        """Return M V, shape [P, m], for V of shape [P, m].

        Raises:
            InputError: The vectors do not have P rows.
        """
        ...

    def direction(self, gradient: torch.Tensor, damping: float) -> torch.Tensor:
        """Return d = −(|M| + μ)⁻¹ g, shape [P], with |M| = Q |Λ| Qᵀ; 0 where |λ| + μ is 0.

        Args:
            gradient: g, shape [P].
            damping: μ.

        Raises:
            InputError: The gradient is no vector of P numbers.
            ConfigurationError: μ is negative.
        """
        ...


def leading_positions(values: torch.Tensor, count: int, size: int) -> torch.Tensor:
    """Return where the ``count`` entries of largest |value| are, ascending in value; of equal ones the first.

    Args:
        values: Eigenvalues, shape [m].
        count: How many are wanted.
        size: P, which ``count`` may not exceed.

    Raises:
        InputError: ``count`` is not between 1 and P.
    """
    if not 1 <= count <= size:
        raise InputError(f"count is {count}; it must be from 1 to {size}, the rows of the matrix")
    chosen = values.abs().argsort(descending=True, stable=True)[:count]
    return chosen[values[chosen].argsort(stable=True)]


def exact_pairs(values: torch.Tensor, vectors: torch.Tensor) -> Eigenbasis:
    """Return eigenpairs that are known, whose residuals are therefore 0.

    Args:
        values: λ, shape [r], ascending.
        vectors: Q, shape [P, r].
    """
    return Eigenbasis(values, vectors, torch.zeros_like(values))


def saddle_free_quotient(numbers: torch.Tensor, eigenvalues: torch.Tensor, damping: float) -> torch.Tensor:
    """Return numbers / (|λ| + μ), shape [r]; 0 where the divisor is 0.

    Args:
        numbers: Shape [r].
        eigenvalues: λ, shape [r].
        damping: μ.

    Raises:
        ConfigurationError: μ is negative.
    """
    return divide(numbers, divisor(eigenvalues, "absolute", damping), damping)


def check_vectors(vectors: torch.Tensor, size: int) -> None:
    """Check that a matrix can be applied to vectors.

    Raises:
        InputError: They are not the columns of a matrix with P = ``size`` rows.
    """
    if vectors.ndim != 2 or len(vectors) != size:
        raise InputError(f"the vectors have shape {tuple(vectors.shape)}; give columns of {size} numbers, ({size}, m)")


def check_gradient(gradient: torch.Tensor, size: int) -> None:
    """Check that a gradient belongs to a matrix.

    Raises:
        InputError: It is not one vector of P = ``size`` numbers.
    """
    if gradient.shape != (size,):
        raise InputError(f"the gradient has shape {tuple(gradient.shape)}; the matrix needs ({size},)")
