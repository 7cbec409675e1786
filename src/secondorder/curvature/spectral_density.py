"""How the eigenvalues of a large symmetric matrix are distributed, from products with it.

Of a start vector u of length 1 the matrix H = Σ λ_i q_i q_iᵀ makes a measure that has the weight (q_iᵀ u)² at λ_i. k
Lanczos steps from u give its Gauss quadrature: with the eigenpairs (θ_j, s_j) of the tridiagonal T, the weight (e_1ᵀ
s_j)² at θ_j, exact for polynomials of degree below 2k (Golub & Meurant 1994). Over random u whose
directions have no preference the mean weight of each eigenvalue is 1/P, so the mean measure is the spectral density
1/P Σ δ(λ − λ_i).

Source: Ubaru, Chen & Saad 2017; for networks Ghorbani, Krishnan & Xiao 2019.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch

from secondorder.curvature.lanczos import lanczos
from secondorder.errors import InputError


@dataclass(frozen=True)
class SpectralDensity:
    """A discrete measure, Σ_j w_j δ(λ − θ_j).

    Attributes:
        nodes: θ, float64, shape [m], ascending.
        weights: w, float64, shape [m]; their sum is 1.
    """

    nodes: torch.Tensor
    weights: torch.Tensor

    @property
    def mass(self) -> float:
        """Σ w_j: 1 for a density, up to rounding."""
        return float(self.weights.sum())

    def moment(self, power: int) -> float:
        """Return Σ w_j θ_j^power, an estimate of tr(H^power) / P."""
        return float(self.weights @ self.nodes**power)


def lanczos_quadrature(
    product: Callable[[torch.Tensor], torch.Tensor], starts: torch.Tensor, steps: int
) -> SpectralDensity:
    """Return the mean over start vectors of the Gauss quadratures of their measures.

    Args:
        product: v ↦ H v for a symmetric H.
        starts: Start vectors, shape [probes, P], of any length but 0: normal numbers, or random signs.
        steps: k, products for each start; fewer where its Krylov space is invariant, and the quadrature exact.

    Raises:
        InputError: There is no start or no step; a start is 0; a product is not finite.
    """
    if starts.ndim != 2 or len(starts) == 0:
        raise InputError(f"the start vectors have shape {tuple(starts.shape)}; they need [probes, P], one in each row")
    if steps < 1:
        raise InputError(f"steps is {steps}; a quadrature needs at least 1")
    if not (starts != 0).any(dim=1).all():
        raise InputError("a start vector is 0, which has no direction; use random ones")
    quadratures = [_gauss(lanczos(product, start, steps).tridiagonal) for start in starts]
    nodes = torch.cat([nodes for nodes, _ in quadratures])
    weights = torch.cat([weights for _, weights in quadratures]) / len(starts)
    order = nodes.argsort()
    return SpectralDensity(nodes[order], weights[order])


def _gauss(tridiagonal: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return nodes and weights, both of shape [k], of a Lanczos tridiagonal of shape [k, k]."""
    if not torch.isfinite(tridiagonal).all():
        raise InputError("a product has entries that are not finite, so its matrix has no density")
    values, vectors = torch.linalg.eigh(tridiagonal.double())
    return values, vectors[0].square()
