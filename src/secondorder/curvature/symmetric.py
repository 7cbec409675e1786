"""Eigenvalues of symmetric matrices, by the fastest library at hand."""

import numpy as np
import torch

EIGEN_PRICE = 4.5
"""Multiplications of all eigenvalues and eigenvectors of an r × r matrix, over r³ (Golub & Van Loan 2013, 8.3.1)."""


def symmetric_eigenvalues(matrices: torch.Tensor) -> torch.Tensor:
    """Return the eigenvalues of symmetric matrices in ascending order, shape [..., r].

    On the CPU NumPy's LAPACK does it, which was faster than the one in PyTorch's wheels. It has threads of its own,
    which ``torch.set_num_threads`` does not count.

    Args:
        matrices: Shape [..., r, r]; the lower triangles are read.
    """
    if matrices.device.type != "cpu":
        values: torch.Tensor = torch.linalg.eigvalsh(matrices)
        return values
    return torch.from_numpy(np.linalg.eigvalsh(matrices.numpy()))
