"""A matrix whose eigenvectors are Kronecker products of two small bases, as those of K-FAC and EKFAC."""

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
class KroneckerForm:
    """M = (U_G ⊗ U_A) diag(vec s) (U_G ⊗ U_A)ᵀ, on matrices [n_out, n_in'] that are flattened row by row.

    Attributes:
        output_basis: U_G, shape [n_out, n_out], orthonormal columns.
        input_basis: U_A, shape [n_in', n_in'], likewise.
        moments: s, the eigenvalue of each u_i ⊗ v_j, shape [n_out, n_in'].
        moment_numbers: Of how many numbers the moments are made, where that is fewer than they are, as the
            n_out + n_in' eigenvalues of two factors are.

    Raises:
        InputError: Bases and moments do not fit each other.
    """

    output_basis: torch.Tensor
    input_basis: torch.Tensor
    moments: torch.Tensor
    moment_numbers: int | None = None

    def __post_init__(self) -> None:
        """Check that bases and moments fit each other."""
        outputs, inputs = len(self.output_basis), len(self.input_basis)
        shapes = [tuple(part.shape) for part in (self.output_basis, self.input_basis, self.moments)]
        if shapes != [(outputs, outputs), (inputs, inputs), (outputs, inputs)]:
            raise InputError(
                f"bases of shape {shapes[0]} and {shapes[1]} and moments of shape {shapes[2]}; give two square bases "
                "and one moment for each pair of their columns"
            )

    @property
    def size(self) -> int:
        """P = n_out n_in'."""
        return self.moments.numel()

    @property
    def numbers(self) -> int:
        """Those of both bases and of what the moments are made of."""
        of_moments = self.moments.numel() if self.moment_numbers is None else self.moment_numbers
        return self.output_basis.numel() + self.input_basis.numel() + of_moments

    def spectrum(self) -> Spectrum:
        """Return the moments."""
        return Spectrum.of(self.moments.flatten())

    def leading(self, count: int) -> Eigenbasis:
        """Return ``count`` moments of largest magnitude with their u_i ⊗ v_j; see the protocol."""
        moments = self.moments.flatten()
        chosen = leading_positions(moments, count, self.size)
        inputs = len(self.input_basis)
        left, right = self.output_basis[:, chosen // inputs], self.input_basis[:, chosen % inputs]
        return exact_pairs(moments[chosen], (left[:, None, :] * right[None, :, :]).flatten(0, 1))

    def applied(self, vectors: torch.Tensor) -> torch.Tensor:
        """Return M V; see the protocol."""
        check_vectors(vectors, self.size)
        return self._out_of_basis(self.moments[..., None] * self._into_basis(vectors))

    def direction(self, gradient: torch.Tensor, damping: float) -> torch.Tensor:
        """Return −(|M| + μ)⁻¹ g; see the protocol."""
        check_gradient(gradient, self.size)
        along = self._into_basis(gradient[:, None])
        quotient = saddle_free_quotient(along.flatten(), self.moments.flatten(), damping)
        return -self._out_of_basis(quotient.reshape(along.shape))[:, 0]

    def _into_basis(self, vectors: torch.Tensor) -> torch.Tensor:
        """Return U_Gᵀ X U_A of each vector's matrix X, shape [n_out, n_in', m]."""
        matrices = vectors.reshape(*self.moments.shape, -1)
        return _multiplied(self.output_basis.T, self.input_basis.T, matrices)

    def _out_of_basis(self, along: torch.Tensor) -> torch.Tensor:
        """Return U_G Y U_Aᵀ of each Y as a vector, shape [P, m]."""
        return _multiplied(self.output_basis, self.input_basis, along).flatten(0, 1)


def _multiplied(left: torch.Tensor, right: torch.Tensor, matrices: torch.Tensor) -> torch.Tensor:
    """Return L X Rᵀ of each matrix X, for X of shape [n_out, n_in', m]."""
    return torch.einsum("bj,ajm->abm", right, torch.einsum("ai,ijm->ajm", left, matrices))
