"""Inverses of damped Kronecker products, by their factors (K-FAC) or in their eigenbasis (EKFAC).

Source: Martens & Grosse 2015, sections 5 and 6.3 (moving averages, factored damping); George et al. 2018, sections 3
and 4 (the eigenbasis and its moments). How moments are kept when the basis changes is derived in docs/methods.md,
section "K-FAC and EKFAC".
"""

from dataclasses import dataclass, fields
from typing import ClassVar

import torch

from secondorder.curvature.kronecker_factors import LayerStatistics, Sharing
from secondorder.curvature.symmetric import EIGEN_PRICE

_INVERSE_PRICE = 1 / 2
"""Multiplications of the inverse of a positive definite r × r matrix, over r³: r³/6 by Cholesky, r³/3 from there."""


@dataclass
class KroneckerInverse:
    """One layer's block G ⊗ A with factored damping: (G + √γ/π I)⁻¹ V (A + π √γ I)⁻¹.

    Attributes:
        input_factor: A, shape [n_in', n_in'].
        output_factor: G, shape [n_out, n_out].
        input_inverse: (A + π √γ I)⁻¹, as of the last :meth:`refresh`.
        output_inverse: (G + √γ/π I)⁻¹, likewise.
        early_updates: The first updates that are each followed by a refresh (Martens & Grosse 2015, section 8).
    """

    early_updates: ClassVar[int] = 3

    input_factor: torch.Tensor
    output_factor: torch.Tensor
    input_inverse: torch.Tensor
    output_inverse: torch.Tensor

    @classmethod
    def of(cls, statistics: LayerStatistics, sharing: Sharing, damping: float) -> "KroneckerInverse":
        """Return the block of a first batch, for γ = ``damping``."""
        factors = statistics.input_factor(sharing), statistics.output_factor(sharing)
        return cls(*factors, *_inverses(*factors, damping))

    def update(self, statistics: LayerStatistics, sharing: Sharing, kept: float) -> None:
        """Let a batch enter the moving averages, with the share 1 − ``kept``."""
        self.input_factor = torch.lerp(statistics.input_factor(sharing), self.input_factor, kept)
        self.output_factor = torch.lerp(statistics.output_factor(sharing), self.output_factor, kept)

    def refresh(self, damping: float) -> None:
        """Compute the inverses anew, for γ = ``damping``."""
        self.input_inverse, self.output_inverse = _inverses(self.input_factor, self.output_factor, damping)

    def solve(self, gradient: torch.Tensor, _damping: float) -> torch.Tensor:
        """Return the damped inverse's product with a gradient, shape [n_out, n_in'], at the damping of the refresh."""
        return self.output_inverse @ gradient @ self.input_inverse

    @staticmethod
    def update_multiplications(statistics: LayerStatistics) -> float:
        """Return those of an update."""
        return statistics.multiplications()

    def refresh_multiplications(self) -> float:
        """Return those of a refresh."""
        return _INVERSE_PRICE * (len(self.input_factor) ** 3 + len(self.output_factor) ** 3)

    def solve_multiplications(self) -> float:
        """Return those of a solve."""
        inputs, outputs = len(self.input_factor), len(self.output_factor)
        return inputs * outputs * (inputs + outputs)


@dataclass
class KroneckerEigenbasis:
    """One layer's block with exact damping: U_G ((U_Gᵀ V U_A) / (s + γ)) U_Aᵀ.

    Attributes:
        input_factor: A, shape [n_in', n_in'].
        output_factor: G, shape [n_out, n_out].
        input_basis: U_A, eigenvectors of A in columns, as of the last :meth:`refresh`.
        output_basis: U_G, likewise.
        moments: s, the moving average of the block's diagonal in this basis, shape [n_out, n_in'].
        early_updates: As of :class:`KroneckerInverse`; 1, because the moments are right in a basis that is not.
    """

    early_updates: ClassVar[int] = 1

    input_factor: torch.Tensor
    output_factor: torch.Tensor
    input_basis: torch.Tensor
    output_basis: torch.Tensor
    moments: torch.Tensor

    @classmethod
    def of(cls, statistics: LayerStatistics, sharing: Sharing, _damping: float) -> "KroneckerEigenbasis":
        """Return the block of a first batch, in the eigenbasis of its factors."""
        factors = statistics.input_factor(sharing), statistics.output_factor(sharing)
        bases = _eigenbasis(factors[0]), _eigenbasis(factors[1])
        return cls(*factors, *bases, statistics.eigenbasis_moments(*bases))

    def update(self, statistics: LayerStatistics, sharing: Sharing, kept: float) -> None:
        """Let a batch enter the moving averages, with the share 1 − ``kept``."""
        self.input_factor = torch.lerp(statistics.input_factor(sharing), self.input_factor, kept)
        self.output_factor = torch.lerp(statistics.output_factor(sharing), self.output_factor, kept)
        moments = statistics.eigenbasis_moments(self.input_basis, self.output_basis)
        self.moments = torch.lerp(moments, self.moments, kept)

    def refresh(self, _damping: float) -> None:
        """Compute the eigenbasis anew, and take the moments along: the old block's diagonal in the new basis."""
        input_basis, output_basis = _eigenbasis(self.input_factor), _eigenbasis(self.output_factor)
        from_inputs = (input_basis.T @ self.input_basis).square()
        from_outputs = (output_basis.T @ self.output_basis).square()
        self.moments = from_outputs @ self.moments @ from_inputs.T
        self.input_basis, self.output_basis = input_basis, output_basis

    def solve(self, gradient: torch.Tensor, damping: float) -> torch.Tensor:
        """Return the damped inverse's product with a gradient, shape [n_out, n_in'], for γ = ``damping``."""
        along = self.output_basis.T @ gradient @ self.input_basis
        return self.output_basis @ (along / (self.moments + damping)) @ self.input_basis.T

    @staticmethod
    def update_multiplications(statistics: LayerStatistics) -> float:
        """Return those of an update."""
        return statistics.multiplications() + statistics.eigenbasis_multiplications()

    def refresh_multiplications(self) -> float:
        """Return those of a refresh: eigenvectors, and the way from the old basis to the new one."""
        inputs, outputs = len(self.input_factor), len(self.output_factor)
        return (EIGEN_PRICE + 1) * (inputs**3 + outputs**3) + inputs * outputs * (inputs + outputs)

    def solve_multiplications(self) -> float:
        """Return those of a solve."""
        inputs, outputs = len(self.input_factor), len(self.output_factor)
        return 2 * inputs * outputs * (inputs + outputs)


KroneckerBlock = KroneckerInverse | KroneckerEigenbasis


def block_state(block: KroneckerBlock) -> dict[str, torch.Tensor]:
    """Return a block's tensors by name, from which ``type(block)(**state)`` makes it again."""
    return {field.name: getattr(block, field.name) for field in fields(block)}


def trace_ratio(input_factor: torch.Tensor, output_factor: torch.Tensor) -> torch.Tensor:
    """Return π = √((tr A / dim A) / (tr G / dim G)), 0-dimensional; 1 where a trace is 0 (Martens & Grosse 2015, 6.3).

    Args:
        input_factor: A.
        output_factor: G.
    """
    means = torch.stack([factor.diagonal().mean() for factor in (input_factor, output_factor)])
    ratio = (means[0] / means[1]).sqrt()
    return torch.where((means > 0).all(), ratio, 1.0)


def damped_inverse(matrix: torch.Tensor, damping: torch.Tensor) -> torch.Tensor:
    """Return (M + μ I)⁻¹ of a positive semi-definite M, by Cholesky; NaN where M is not finite.

    Where rounding leaves no positive definite matrix, it is done in double precision.

    Args:
        matrix: M, shape [r, r].
        damping: μ, 0-dimensional, above 0.
    """
    identity = torch.eye(len(matrix), dtype=matrix.dtype, device=matrix.device)
    factor, failed = torch.linalg.cholesky_ex(matrix + damping * identity)
    if failed:
        factor, failed = torch.linalg.cholesky_ex(matrix.double() + damping.double() * identity.double())
    inverse = torch.cholesky_inverse(factor).to(matrix.dtype)
    return torch.where(failed == 0, inverse, torch.nan)


def _inverses(
    input_factor: torch.Tensor, output_factor: torch.Tensor, damping: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return (A + π √γ I)⁻¹ and (G + √γ/π I)⁻¹."""
    ratio = trace_ratio(input_factor, output_factor)
    inputs = damped_inverse(input_factor, ratio * damping**0.5)
    return inputs, damped_inverse(output_factor, damping**0.5 / ratio)


def _eigenbasis(matrix: torch.Tensor) -> torch.Tensor:
    vectors: torch.Tensor = torch.linalg.eigh(matrix).eigenvectors
    return vectors
