"""The diagonal of the empirical Fisher matrix of any module, from backward passes of randomly signed samples.

Source: Martens 2010, section 4.7, for the matrix; Hutchinson 1990 for the signs. Derived in docs/methods.md, section
"Hessian-free".
"""

import torch

from secondorder.curvature.gauss_newton_products import GaussNewtonProducts


def fisher_diagonal(products: GaussNewtonProducts, signs: torch.Tensor) -> torch.Tensor:
    """Return an estimate of diag F, F = 1/B Σ_i ∇ℓ_i ∇ℓ_iᵀ, for a loss that is the mean of the samples' ℓ_i.

    With signs s_i = ±1 that are independent, (Σ_i s_i ∇ℓ_i)² has the mean Σ_i (∇ℓ_i)², entry by entry: the mean of a
    product of two signs is 0. The sum is one backward pass from s_i ∂L/∂z_i, whatever the module is, and no sample's
    gradient is formed. The mean over all 2^B vectors of signs is diag F itself.

    Args:
        products: Has J and ∂L/∂z; samples are along its outputs' first dimension.
        signs: One row of ±1 per backward pass, shape [k, B].

    Returns:
        Shape [P]; the mean over the rows.
    """
    cotangent = products.output_gradient
    samples = signs.shape[1]
    total = torch.zeros_like(products.gradient)
    for row in signs:
        total += products.pulled_back(cotangent * row.view(-1, *[1] * (cotangent.ndim - 1))).square_()
    return total.mul_(samples / len(signs))
