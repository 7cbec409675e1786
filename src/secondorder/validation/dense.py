"""The Hessian the slow way: the whole matrix, by differentiating every entry of the gradient.

It shares nothing with the closed form but the definition of the spectral adjustments, and is the truth that the closed
form is compared with wherever its P × P entries fit.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import nn

from secondorder.curvature.adjustments import AdjustmentName, divisor

Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
_ROWS_AT_ONCE = 128


@dataclass(frozen=True)
class DenseHessian:
    """A Hessian with its eigendecomposition.

    Attributes:
        matrix: ∇²L, shape (P, P), in the order of ``parameters_to_vector``.
        eigenvalues: Ascending, shape (P,).
        eigenvectors: In columns, shape (P, P).
        gradient: ∇L, shape (P,).
        parameters: θ, shape (P,).
    """

    matrix: torch.Tensor
    eigenvalues: torch.Tensor
    eigenvectors: torch.Tensor
    gradient: torch.Tensor
    parameters: torch.Tensor

    @property
    def scale(self) -> float:
        """The largest |eigenvalue|."""
        return float(self.eigenvalues.abs().max())

    def direction(self, damping: float, adjustment: AdjustmentName, weight_decay: float) -> torch.Tensor:
        """Return d = −V φ(Λ)⁻¹ Vᵀ (g + λθ), derived in docs/methods.md.

        Args:
            damping: μ.
            adjustment: φ.
            weight_decay: λ.
        """
        pull = self.gradient + weight_decay * self.parameters
        divisors = divisor(self.eigenvalues, adjustment, damping, weight_decay)
        return -self.eigenvectors @ ((self.eigenvectors.T @ pull) / divisors)

    def condition(self, damping: float, adjustment: AdjustmentName, weight_decay: float) -> float:
        """Return max|φ(Λ)| / min|φ(Λ)|: by how much the direction magnifies a relative error of the matrix."""
        divisors = divisor(self.eigenvalues, adjustment, damping, weight_decay).abs()
        return float(divisors.max() / divisors.min())


def dense_hessian(model: nn.Module, loss: Loss, inputs: torch.Tensor, targets: torch.Tensor) -> DenseHessian:
    """Return the Hessian of ``loss(model(inputs), targets)`` by all of the model's parameters.

    Args:
        model: The network.
        loss: Maps outputs and targets to a 0-dimensional tensor.
        inputs: Inputs, batch first.
        targets: Targets, batch first.
    """
    parameters = list(model.parameters())
    gradient, matrix = _differentiated_twice(loss(model(inputs), targets), parameters)
    eigenvalues, eigenvectors = torch.linalg.eigh(matrix)
    flat = torch.cat([parameter.detach().reshape(-1) for parameter in parameters])
    return DenseHessian(matrix, eigenvalues, eigenvectors, gradient, flat)


def _differentiated_twice(value: torch.Tensor, parameters: Sequence[torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the gradient, shape (P,), and the Hessian, shape (P, P)."""
    pieces = torch.autograd.grad(value, parameters, create_graph=True, materialize_grads=True)
    gradient = torch.cat([piece.reshape(-1) for piece in pieces])
    rows = []
    for seeds in torch.split(torch.eye(len(gradient), dtype=gradient.dtype), _ROWS_AT_ONCE):
        chunk = torch.autograd.grad(
            gradient, parameters, seeds, is_grads_batched=True, retain_graph=True, materialize_grads=True
        )
        rows.append(torch.cat([piece.reshape(len(seeds), -1) for piece in chunk], dim=1))
    return gradient.detach(), torch.cat(rows)
