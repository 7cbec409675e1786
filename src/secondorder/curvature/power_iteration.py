"""Power iteration: the eigenvalue of largest magnitude, from one product at a time and two vectors of memory.

Source: Golub & Van Loan 2013, section 8.2.1. The error of the vector shrinks by |λ₂/λ₁| a product, that of the value by
its square.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch

from secondorder.errors import InputError


@dataclass(frozen=True)
class PowerIteration:
    """Where the iteration ended.

    Attributes:
        value: λ = vᵀ H v; not finite where a product was not.
        vector: v, shape [P], of length 1.
        residual: ‖H v − λ v‖: an eigenvalue lies within this distance of λ.
        products: Products that were spent.
        converged: Whether the residual is at most the tolerance times |λ|.
    """

    value: float
    vector: torch.Tensor
    residual: float
    products: int
    converged: bool


def power_iteration(
    product: Callable[[torch.Tensor], torch.Tensor], start: torch.Tensor, products: int, tolerance: float
) -> PowerIteration:
    """Return the eigenpair of largest |λ|, as near as its residual says.

    The iteration does not converge where λ and −λ are both largest, and slowly where others come near.

    Args:
        product: v ↦ H v for a symmetric H.
        start: The start vector, shape [P], not 0 and not without a part in the eigenvector.
        products: Most products.
        tolerance: The residual, relative to |λ|, at which the iteration ends.

    Raises:
        InputError: The start is 0 or not finite, or there is no product to spend.
    """
    length = float(start.norm())
    if length == 0 or not math.isfinite(length):
        raise InputError(f"the start vector has the length {length:g}; use a random one")
    if products < 1:
        raise InputError(f"products is {products}; power iteration needs at least 1")
    vector, spent = start / length, 0
    while True:
        image, spent = product(vector), spent + 1
        value = float(vector @ image)
        residual = float((image - value * vector).norm())
        converged = residual <= tolerance * abs(value)
        length = float(image.norm())
        if converged or spent == products or not math.isfinite(length):
            return PowerIteration(value, vector, residual, spent, converged)
        vector = image / length
