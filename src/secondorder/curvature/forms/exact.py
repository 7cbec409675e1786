"""The exact Hessian of a batch, and exact parts of it, by their eigenpairs.

All are of the loss at the model's current parameters, by :class:`~secondorder.curvature.exact_hessian.ExactHessian`,
whose errors they raise.
"""

import math

import torch
from torch import nn

from secondorder.curvature.activation_hessian import LossFunction
from secondorder.curvature.exact_hessian import ExactHessian
from secondorder.curvature.forms.block_diagonal import BlockDiagonalForm
from secondorder.curvature.forms.low_rank import LowRankForm, significant
from secondorder.curvature.layers import take_apart
from secondorder.errors import InputError


def exact_form(model: nn.Module, loss: LossFunction, inputs: torch.Tensor, targets: torch.Tensor) -> LowRankForm:
    """Return H = ∇²L of a batch.

    Args:
        model: The network.
        loss: Maps outputs and targets to a 0-dimensional tensor.
        inputs: Inputs, batch first.
        targets: Targets, batch first.
    """
    return _low_rank(ExactHessian(model, loss, inputs, targets))


def layer_blocks_form(
    model: nn.Module, loss: LossFunction, inputs: torch.Tensor, targets: torch.Tensor
) -> BlockDiagonalForm:
    """Return the diagonal blocks of H, one for the weight and bias of each layer.

    Args:
        model: The network.
        loss: Maps outputs and targets to a 0-dimensional tensor.
        inputs: Inputs, batch first.
        targets: Targets, batch first.
    """
    network = take_apart(model, inputs)
    exact = ExactHessian(model, loss, inputs, targets, "layerwise", network=network)
    values, vectors = _largest_first(exact), exact.eigenvectors(exact.rank)
    blocks = []
    for layer in network.layers:
        positions = torch.cat([torch.arange(*span, device=vectors.device) for span in layer.positions])
        rows = vectors[positions]
        # An eigenvector of a block is 0, to the last bit, in all other layers.
        own = (rows != 0).any(0)
        blocks.append((positions, LowRankForm.of_significant(values[own], rows[:, own])))
    return BlockDiagonalForm(network.parameter_count, blocks)


def subsampled_form(
    model: nn.Module, loss: LossFunction, inputs: torch.Tensor, targets: torch.Tensor, share: float
) -> LowRankForm:
    """Return the Hessian of the first samples of a batch alone, as a sub-sampled Newton method has it.

    Args:
        model: The network.
        loss: Maps outputs and targets to a 0-dimensional tensor, a mean over the samples.
        inputs: Inputs, batch first.
        targets: Targets, batch first.
        share: Which share of the batch, above 0 and at most 1; rounded up to whole samples.

    Raises:
        InputError: The share is not in this range.
    """
    if not 0 < share <= 1:
        raise InputError(f"share is {share!r}; it must be above 0 and at most 1, a share of the batch")
    count = math.ceil(share * len(inputs))
    return exact_form(model, loss, inputs[:count], targets[:count])


def _low_rank(exact: ExactHessian) -> LowRankForm:
    """Return V diag(s) Vᵀ; no vector of an eigenvalue that is rounding is made."""
    values = _largest_first(exact)
    count = int(significant(values).sum())
    return LowRankForm(values[:count], exact.eigenvectors(max(count, 1))[:, :count])


def _largest_first(exact: ExactHessian) -> torch.Tensor:
    """Return all eigenvalues that the closed form finds in the order of their eigenvectors, shape [r]."""
    # The values are those of the vectors' own decomposition once there is one; another may order λ and −λ otherwise.
    exact.eigenvectors(1)
    values = exact.eigenvalues()
    return values[values.abs().argsort(descending=True)]
