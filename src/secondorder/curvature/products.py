"""Products with the Hessian and with the Gauss-Newton matrix, from derivatives of the loss alone."""

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


def gauss_newton_product(
    outputs: Callable[[], torch.Tensor],
    loss_of_outputs: Callable[[torch.Tensor], torch.Tensor],
    parameters: Sequence[torch.Tensor],
    vector: torch.Tensor,
) -> torch.Tensor:
    """Return G v = Jᵀ (∇²_z L) J v, J = ∂z/∂θ, with J v by differentiating Jᵀ w by w.

    Source: Schraudolph 2002, section 3; the forward product by two backward passes as in Townsend 2017.

    Args:
        outputs: Evaluates z with a graph.
        loss_of_outputs: Maps z to L.
        parameters: θ; all require gradients.
        vector: v, shape (P,), in the order of ``parameters_to_vector``.

    Returns:
        G v, shape (P,).
    """
    z = outputs()
    weights = torch.zeros_like(z, requires_grad=True)
    pulled = torch.autograd.grad(z, parameters, weights, create_graph=True, materialize_grads=True)
    directions = split_like(vector, parameters)
    inner = torch.stack([(p * d).sum() for p, d in zip(pulled, directions, strict=True)]).sum()
    (moved,) = torch.autograd.grad(inner, weights)
    leaf = z.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(loss_of_outputs(leaf), leaf, create_graph=True)
    if not gradient.requires_grad:
        return torch.zeros_like(vector)
    (curved,) = torch.autograd.grad(gradient, leaf, moved)
    products = torch.autograd.grad(z, parameters, curved, materialize_grads=True)
    return parameters_to_vector([product.contiguous() for product in products])
