"""Proof of eigenpairs, whoever found them: residuals by products that had no part in finding them.

For each v of length 1 an eigenvalue of H lies within ‖H v − λ v‖ of λ (Golub & Van Loan 2013, section 8.1). That alone
would be true of one pair given twice, so the vectors have to be orthogonal too: then each pair has an eigenvalue of its
own.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch

from secondorder.errors import InputError


@dataclass(frozen=True)
class PairCertificate:
    """What is proven of k pairs.

    Attributes:
        values: λ, shape [k].
        residuals: ‖H v − λ v‖, float64, shape [k].
        orthogonality: max |VᵀV − I|.
        dtype: That of the vectors, such as ``float64``; products with them may have been less precise.
        tolerance: What neither :attr:`relative` nor the orthogonality may exceed.
    """

    values: torch.Tensor
    residuals: torch.Tensor
    orthogonality: float
    dtype: str
    tolerance: float

    @property
    def relative_residuals(self) -> torch.Tensor:
        """Each residual over the largest |λ|, shape [k]; the residual itself where all λ are 0."""
        return self.residuals / (float(self.values.abs().max()) or 1.0)

    @property
    def relative(self) -> float:
        """The largest residual over the largest |λ|; the residual itself where all λ are 0."""
        return float(self.relative_residuals.max())

    @property
    def passed(self) -> bool:
        """Whether both are within the tolerance, which what is not finite is not."""
        return self.relative <= self.tolerance and self.orthogonality <= self.tolerance


def certify(
    values: torch.Tensor,
    vectors: torch.Tensor,
    independent_product: Callable[[torch.Tensor], torch.Tensor],
    tolerance: float,
) -> PairCertificate:
    """Return the certificate of eigenpairs.

    Args:
        values: λ, shape [k].
        vectors: V, shape [P, k], as the product takes them; convert pairs of a lower precision before.
        independent_product: v ↦ H v, by another way than the one that found the pairs.
        tolerance: Largest residual over the largest |λ|, and largest deviation from orthonormal vectors.

    Raises:
        InputError: There is no pair, or not one vector for each value; the tolerance is not a number above 0.
    """
    if values.ndim != 1 or vectors.ndim != 2 or vectors.shape[1] != len(values) or len(values) == 0:
        raise InputError(
            f"values have shape {tuple(values.shape)} and vectors {tuple(vectors.shape)}; they need [k] and [P, k], a "
            "pair at least"
        )
    if not (math.isfinite(tolerance) and tolerance > 0):
        raise InputError(f"tolerance is {tolerance}; it must be a finite number above 0")
    pairs = zip(values, vectors.T.contiguous(), strict=True)
    residuals = torch.stack([(independent_product(vector) - value * vector).double().norm() for value, vector in pairs])
    gram = (vectors.T @ vectors).double()
    deviation = float((gram - torch.eye(len(values)).to(gram)).abs().max())
    return PairCertificate(values, residuals, deviation, str(vectors.dtype).removeprefix("torch."), tolerance)
