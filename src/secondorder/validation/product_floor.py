"""The least a Hessian-vector product can cost: its multiplications over those of the gradient.

A layer y = x Wᵀ takes m multiplications in its forward pass, and so does each product of the same sizes; convolutions
likewise. M is the sum of m over all layers and N the sum over all but the first, whose input nothing moves: it has no
derivative and needs no gradient. All else is neglected.

gradient
    Forward M; to the inputs, x̄ = ȳ W, N; to the weights, W̄ = ȳᵀ x, M. Together 2 M + N.
r_operator
    The values of the gradient are kept, and each of its products has a derivative by both factors.
    ẏ = ẋ Wᵀ + x Ẇᵀ takes N + M, the derivative of x̄ 2 N, and that of W̄ = ȳᵀ x, where x may not move, M + N.
    Together 2 M + 4 N.
double_backward
    The transpose of the same linear map, with the gradient's graph kept: 2 M + 4 N.
forward_over_reverse
    Nothing is kept, so the gradient is computed again: 4 M + 5 N.
complex_step
    A product of two complex numbers is four real ones. Forward 4 N behind the first layer, and 2 (M − N) in it, because
    its input is real; to the inputs 4 N; to the weights the imaginary part alone, 2 N behind the first layer and M − N
    in it. Together 3 M + 7 N.
finite_difference
    Two gradients: 4 M + 2 N.
"""

import torch
from torch import nn

from secondorder.curvature.hessian_vector_products import MethodName
from secondorder.curvature.layers import take_apart

_GRADIENT = (2, 1)
_PRODUCTS: dict[MethodName, tuple[int, int]] = {
    "complex_step": (3, 7),
    "r_operator": (2, 4),
    "forward_over_reverse": (4, 5),
    "double_backward": (2, 4),
    "finite_difference": (4, 2),
}


def product_floor(model: nn.Module, inputs: torch.Tensor, method: MethodName) -> float:
    """Return the multiplications of a product over those of the gradient, derived above.

    Args:
        model: The network, of linear and convolutional layers.
        inputs: Inputs, batch first.
        method: The method of the product.
    """
    network = take_apart(model, inputs)
    whole, inner = network.multiplications, network.inner_multiplications

    def count(multiplications: tuple[int, int]) -> int:
        return multiplications[0] * whole + multiplications[1] * inner

    return count(_PRODUCTS[method]) / count(_GRADIENT)
