"""Eigenpairs at one end of a spectrum, by SciPy's ARPACK: implicitly restarted Lanczos (Lehoucq et al. 1998)."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse.linalg import ArpackError, ArpackNoConvergence, LinearOperator, eigsh

from secondorder.errors import InputError

_GENERATOR_SEED = 0
Product = Callable[[torch.Tensor], torch.Tensor]


@dataclass(frozen=True)
class FoundPairs:
    """The pairs that were asked for, found or not.

    Attributes:
        values: λ, float64, shape [count]: those that converged ascending, then NaN for each that did not.
        vectors: Their vectors, float64, shape [P, count]; NaN likewise.
        products: Products that were spent.
        converged: Whether all pairs converged.
    """

    values: torch.Tensor
    vectors: torch.Tensor
    products: int
    converged: bool


def largest_pairs(
    product: Product,
    size: int,
    count: int,
    which: Literal["LA", "SA"],
    tolerance: float,
    krylov: int,
    products: int,
) -> FoundPairs:
    """Return the largest or the smallest eigenvalues, by sign and not by size, with their vectors.

    Args:
        product: v ↦ H v for a symmetric H, of float64 vectors on the CPU.
        size: P.
        count: How many pairs.
        which: ``LA`` for the largest, ``SA`` for the smallest.
        tolerance: Relative accuracy of the eigenvalues; 0 for that of rounding.
        krylov: Lanczos vectors between restarts; P at most are used.
        products: Products after which what has not converged is given up; it is looked at restarts alone.

    Raises:
        InputError: There are not more Lanczos vectors than pairs, or no pair is asked for.
    """
    krylov = min(krylov, size)
    if not 1 <= count < krylov:
        raise InputError(
            f"{count} pairs are asked for with {krylov} Lanczos vectors for a matrix of size {size}; there must be a "
            "pair at least, and more vectors than pairs"
        )
    counted = _Counted(product)
    start = np.random.default_rng(_GENERATOR_SEED).standard_normal(size)
    if not counted(start).any():
        # A random vector sees every direction, so the matrix is zero, of which ARPACK makes an error.
        return FoundPairs(torch.zeros(count).double(), torch.eye(size, count).double(), counted.spent, converged=True)
    operator = LinearOperator((size, size), matvec=counted, dtype=np.float64)
    restarts = max(1, products // krylov)
    try:
        values, vectors = eigsh(operator, k=count, which=which, v0=start, ncv=krylov, tol=tolerance, maxiter=restarts)
    except ArpackNoConvergence as error:
        values, vectors = error.eigenvalues, error.eigenvectors
    except ArpackError:
        values, vectors = np.empty(0), np.empty((size, 0))
    return _completed(values, vectors, count, counted.spent)


class _Counted:
    """A product as ARPACK calls it, which counts how often."""

    def __init__(self, product: Product) -> None:
        self._product = product
        self.spent = 0

    def __call__(self, vector: NDArray[np.float64]) -> NDArray[np.float64]:
        self.spent += 1
        # A copy, because ARPACK lends its own memory.
        image: NDArray[np.float64] = self._product(torch.tensor(vector.ravel())).numpy()
        return image


def _completed(values: NDArray[np.float64], vectors: NDArray[np.float64], count: int, products: int) -> FoundPairs:
    """Return what was found in ascending order, with NaN for what is missing."""
    order = np.argsort(values)
    all_values = torch.full((count,), torch.nan, dtype=torch.float64)
    all_vectors = torch.full((len(vectors), count), torch.nan, dtype=torch.float64)
    all_values[: len(order)] = torch.from_numpy(values[order])
    all_vectors[:, : len(order)] = torch.from_numpy(vectors[:, order])
    return FoundPairs(all_values, all_vectors, products, converged=len(order) == count)
