"""The vector of all trainable parameters, seen layer by layer.

Its order is that of ``torch.nn.utils.parameters_to_vector`` over the parameters of ``model.parameters()`` that require
gradients.
"""

from collections.abc import Sequence

import torch

from secondorder.curvature.layers import Layer, Network


def layer_matrix(vector: torch.Tensor, layer: Layer) -> torch.Tensor:
    """Return a linear layer's part of a vector as dW̃ = [dW, db], shape [..., n_out, n_in'].

    Args:
        vector: Shape [..., P].
        layer: The layer; a frozen weight or bias has no columns.
    """
    parts = [
        torch.unflatten(vector[..., start:stop], -1, tuple(parameter.shape) if parameter.ndim == 2 else (-1, 1))
        for parameter, (start, stop) in zip(layer.parameters, layer.positions, strict=True)
    ]
    return parts[0] if len(parts) == 1 else torch.cat(parts, dim=-1)


def direct_part(vector: torch.Tensor, layers: Sequence[Layer]) -> torch.Tensor:
    """Return the parts of a vector that belong to ``layers``, side by side, shape [..., p]."""
    pieces = [vector[..., start:stop] for layer in layers for start, stop in layer.positions]
    return torch.cat(pieces, dim=-1) if pieces else vector[..., :0]


def assembled(
    network: Network, matrices: Sequence[torch.Tensor], direct: torch.Tensor, like: torch.Tensor
) -> torch.Tensor:
    """Return a vector from its parts, zero where no layer has a part.

    Args:
        network: The network.
        matrices: dW̃ of each layer that is seen through its activations, shape [..., n_out, n_in'].
        direct: The direct layers' parameters, shape [..., p].
        like: A tensor of shape [..., any], whose leading shape, dtype and device the vector takes.

    Returns:
        Shape [..., P].
    """
    vector = like.new_zeros(*like.shape[:-1], network.parameter_count)
    for layer, matrix in zip(network.activation_layers, matrices, strict=True):
        column = 0
        for parameter, (start, stop) in zip(layer.parameters, layer.positions, strict=True):
            width = parameter.shape[1] if parameter.ndim == 2 else 1
            vector[..., start:stop] = matrix[..., column : column + width].flatten(-2)
            column += width
    start = 0
    for layer in network.direct_layers:
        for first, last in layer.positions:
            vector[..., first:last] = direct[..., start : start + last - first]
            start += last - first
    return vector
