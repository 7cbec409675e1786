"""Products with the Hessian from derivatives of the loss alone."""

from collections.abc import Callable, Sequence

import torch

from secondorder.curvature.flat_vectors import flattened, split_like


def double_backward(
    loss: Callable[[], torch.Tensor], parameters: Sequence[torch.Tensor], vector: torch.Tensor
) -> torch.Tensor:
    """Return H v = ∇_θ ⟨∇_θ L(θ), v⟩, by differentiating the gradient's inner product with v.

    Source: Pearlmutter 1994, section 1, in its reverse-over-reverse form.

    Args:
        loss: Evaluates L with a graph.
        parameters: θ; all require gradients.
        vector: v, shape (P,), in the order of ``parameters_to_vector``.

    Returns:
        H v, shape (P,). Parameters the gradient does not depend on contribute zeros.
    """
    directions = split_like(vector, parameters)
    gradients = torch.autograd.grad(loss(), parameters, create_graph=True, materialize_grads=True)
    inner = torch.stack([(g * d).sum() for g, d in zip(gradients, directions, strict=True)]).sum()
    if not inner.requires_grad:
        return torch.zeros_like(vector)
    products = torch.autograd.grad(inner, parameters, materialize_grads=True)
    return flattened(products)
