"""Tensors in the shapes of parameters, and the same numbers as one vector."""

from collections.abc import Sequence

import torch


def flattened(pieces: Sequence[torch.Tensor]) -> torch.Tensor:
    """Return pieces of the parameters' shapes as one vector, shape [P]."""
    return torch.cat([piece.reshape(-1) for piece in pieces])


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
