"""Products with the Hessian from derivatives of the loss alone, and vectors in the shapes of parameters."""

from collections.abc import Callable, Sequence

import torch
from torch.nn.utils import parameters_to_vector


def split_like(vector: torch.Tensor, parameters: Sequence[torch.Tensor]) -> list[torch.Tensor]:
    """Cut a flat vector into tensors of the parameters' shapes, in their order.

    Args:
        vector: Shape (P,), P the number of all parameter entries.
        parameters: The tensors whose shapes to take.

    Raises:
        ValueError: The vector does not have P entries.
    """
    total = sum(parameter.numel() for parameter in parameters)
    if vector.shape != (total,):
        raise ValueError(f"the vector has shape {tuple(vector.shape)}; the parameters need ({total},)")
    pieces = torch.split(vector, [parameter.numel() for parameter in parameters])
    return [piece.view_as(parameter) for piece, parameter in zip(pieces, parameters, strict=True)]


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
    return parameters_to_vector([product.contiguous() for product in products])
