"""Eigenvalues of symmetric matrices, by the fastest library at hand."""

import numpy as np
import torch


def symmetric_eigenvalues(matrices: torch.Tensor) -> torch.Tensor:
    """Return the eigenvalues of symmetric matrices in ascending order, shape [..., r].

    On the CPU NumPy's LAPACK does it: without eigenvectors it is up to twice as fast as the one in PyTorch's wheels.

    Args:
        matrices: Shape [..., r, r]; the lower triangles are read.
    """
    if matrices.device.type != "cpu":
        values: torch.Tensor = torch.linalg.eigvalsh(matrices)
        return values
    return torch.from_numpy(np.linalg.eigvalsh(matrices.numpy()))
