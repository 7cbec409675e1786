"""All eigenpairs of a Hessian that is there as a matrix, and what shows that they are right."""

import math
from dataclasses import dataclass

import torch
from torch import nn

from secondorder.curvature.eigenpair_certificate import certify as certify_pairs
from secondorder.problems.problem import Loss
from secondorder.validation.accumulated_products import accumulated_product, accumulated_trace

TOLERANCE = 1e-11
"""Largest error of a certificate that passes. Rounding leaves more of it the larger the matrix."""

CERTIFIED_PAIRS = 10
"""Eigenpairs at either end of the spectrum whose residuals are looked at."""


@dataclass(frozen=True)
class Eigenpairs:
    """All eigenpairs of the symmetric part of a matrix M.

    Attributes:
        eigenvalues: λ, ascending, shape (P,).
        eigenvectors: In columns, shape (P, P).
        asymmetry: Largest |M_ij − M_ji|.
        squared_norm: ‖M‖², Frobenius norm.
    """

    eigenvalues: torch.Tensor
    eigenvectors: torch.Tensor
    asymmetry: float
    squared_norm: float

    @property
    def scale(self) -> float:
        """The largest |λ|."""
        return float(self.eigenvalues.abs().max())


@dataclass(frozen=True)
class Certificate:
    """How far eigenpairs are from what is known of a Hessian H without them; every number is 0 but for rounding.

    Attributes:
        relative_residual: Largest ‖Hv − λv‖ of the :data:`CERTIFIED_PAIRS` largest and as many smallest eigenvalues
            over the largest |λ|, with products Hv of their own over all images.
        orthogonality: Largest entry of |VᵀV − I|, V the vectors of those pairs.
        asymmetry: Largest |M_ij − M_ji| over the largest |λ|, M the matrix that was decomposed.
        trace_error: |Σλ − tr H| over Σ|λ|, with the trace of the closed form over all images.
        norm_error: |Σλ² − ‖M‖²| over ‖M‖², in which every eigenvalue counts.
    """

    relative_residual: float
    orthogonality: float
    asymmetry: float
    trace_error: float
    norm_error: float

    @property
    def passed(self) -> bool:
        """Whether all are finite and at most :data:`TOLERANCE`."""
        return all(error <= TOLERANCE for error in vars(self).values())


def eigenpairs(matrix: torch.Tensor) -> Eigenpairs:
    """Return all eigenpairs of the symmetric part (M + Mᵀ)/2 of a matrix.

    Args:
        matrix: M, shape (P, P).
    """
    symmetric = torch.add(matrix, matrix.mT).div_(2)
    # M − (M + Mᵀ)/2 is half of M − Mᵀ.
    asymmetry = 2 * float(torch.linalg.vector_norm(matrix - symmetric, ord=math.inf))
    # Row by row, because one sum over all P² entries would lose three digits.
    squared_norm = float(torch.linalg.vector_norm(matrix, dim=1).square().sum())
    values, vectors = torch.linalg.eigh(symmetric)
    return Eigenpairs(values, vectors, asymmetry, squared_norm)


def certify(
    pairs: Eigenpairs, model: nn.Module, loss: Loss, inputs: torch.Tensor, targets: torch.Tensor
) -> tuple[Certificate, torch.Tensor]:
    """Return how right eigenpairs are, and the residuals ‖Hv − λv‖, shape (P,), NaN where none is looked at.

    Args:
        pairs: What :func:`eigenpairs` found of the loss's Hessian.
        model: The network; all of its layers dense.
        loss: Mean over a batch.
        inputs: Images, batch first.
        targets: Targets, batch first.
    """
    places = range(len(pairs.eigenvalues))
    ends = sorted({*places[:CERTIFIED_PAIRS], *places[-CERTIFIED_PAIRS:]})
    values, vectors = pairs.eigenvalues[ends], pairs.eigenvectors[:, ends]
    of_ends = certify_pairs(values, vectors, accumulated_product(model, loss, inputs, targets), TOLERANCE)
    residuals = torch.full_like(pairs.eigenvalues, torch.nan)
    residuals[ends] = of_ends.residuals
    trace = accumulated_trace(model, loss, inputs, targets)
    certificate = Certificate(
        relative_residual=float(of_ends.residuals.max()) / pairs.scale,
        orthogonality=of_ends.orthogonality,
        asymmetry=pairs.asymmetry / pairs.scale,
        trace_error=abs(float(pairs.eigenvalues.sum()) - trace) / float(pairs.eigenvalues.abs().sum()),
        norm_error=abs(float(pairs.eigenvalues.square().sum()) / pairs.squared_norm - 1),
    )
    return certificate, residuals
