"""The curvature matrices of K-FAC and EKFAC, undamped and without any randomness.

Source: Martens & Grosse 2015, section 3; Grosse & Martens 2016 (convolutions); George et al. 2018, section 4. Derived
in docs/methods.md, section "K-FAC and EKFAC".
"""

from collections.abc import Callable, Mapping

import torch
from torch import nn

from secondorder.curvature.activation_hessian import LossFunction
from secondorder.curvature.evaluation import Evaluation
from secondorder.curvature.forms.block_diagonal import BlockDiagonalForm
from secondorder.curvature.forms.kronecker import KroneckerForm
from secondorder.curvature.kronecker_factors import (
    Layer,
    LayerStatistics,
    Sharing,
    kronecker_layers,
    layer_statistics,
    recorded_calls,
)
from secondorder.curvature.output_cotangents import output_cotangents
from secondorder.errors import CapabilityError


def kfac_form(
    model: nn.Module,
    loss: LossFunction,
    inputs: torch.Tensor,
    targets: torch.Tensor,
    sharing: Sharing = "expand",
) -> BlockDiagonalForm:
    """Return G ⊗ A of each layer, and 0 for the parameters that no layer with Kronecker factors holds.

    Args:
        model: The network.
        loss: Maps outputs and targets to a 0-dimensional tensor.
        inputs: Inputs, batch first.
        targets: Targets, batch first.
        sharing: How the uses of a weight are taken together, ``expand`` or ``reduce``.

    Raises:
        InputError: Model and batch do not fit each other.
        CapabilityError: No layer has Kronecker factors, or one has an input without the batch in front.
    """

    def block(statistics: LayerStatistics) -> KroneckerForm:
        inputs_values, input_basis = _eigenpairs(statistics.input_factor(sharing))
        outputs_values, output_basis = _eigenpairs(statistics.output_factor(sharing))
        moments = torch.outer(outputs_values, inputs_values)
        return KroneckerForm(output_basis, input_basis, moments, sum(moments.shape))

    return _of_layers(model, loss, inputs, targets, block)


def ekfac_form(
    model: nn.Module,
    loss: LossFunction,
    inputs: torch.Tensor,
    targets: torch.Tensor,
    sharing: Sharing = "expand",
) -> BlockDiagonalForm:
    """Return, of each layer, the matrix with K-FAC's eigenvectors and the Gauss-Newton block's own diagonal there.

    Where a factor has an eigenvalue several times, the matrix depends on the basis that its eigenspace happens to get.

    Args:
        model: The network.
        loss: Maps outputs and targets to a 0-dimensional tensor.
        inputs: Inputs, batch first.
        targets: Targets, batch first.
        sharing: How the uses of a weight are taken together in the factors, ``expand`` or ``reduce``.

    Raises:
        InputError: Model and batch do not fit each other.
        CapabilityError: No layer has Kronecker factors, or one has an input without the batch in front.
    """

    def block(statistics: LayerStatistics) -> KroneckerForm:
        _, input_basis = _eigenpairs(statistics.input_factor(sharing))
        _, output_basis = _eigenpairs(statistics.output_factor(sharing))
        return KroneckerForm(output_basis, input_basis, statistics.eigenbasis_moments(input_basis, output_basis))

    return _of_layers(model, loss, inputs, targets, block)


def _of_layers(
    model: nn.Module,
    loss: LossFunction,
    inputs: torch.Tensor,
    targets: torch.Tensor,
    block: Callable[[LayerStatistics], KroneckerForm],
) -> BlockDiagonalForm:
    """Return the block of each layer with Kronecker factors, from the columns of a root of ∇²_z L as cotangents."""
    evaluation = Evaluation.of(model, loss, inputs, targets, None)
    layers = kronecker_layers(model)
    with torch.enable_grad(), evaluation.same_function(), recorded_calls(layers) as calls:
        outputs = model(inputs)
    if not calls:
        raise CapabilityError(
            f"{type(model).__name__}: none of its modules is a Linear or Conv2d layer of one group with trainable "
            "parameters of its own that its forward pass calls, so there is no Kronecker-factored block"
        )
    statistics = layer_statistics(layers, calls, outputs, output_cotangents("type2", loss, outputs, targets))
    starts = _starts(evaluation)
    blocks = [(_joint_positions(layers[name], starts), block(each)) for name, each in statistics.items()]
    return BlockDiagonalForm(sum(parameter.numel() for parameter in evaluation.parameters), blocks)


def _starts(evaluation: Evaluation) -> dict[int, int]:
    """Return where each parameter, by its identity, begins in the vector of all parameters."""
    starts, start = {}, 0
    for parameter in evaluation.parameters:
        starts[id(parameter)] = start
        start += parameter.numel()
    return starts


def _joint_positions(layer: Layer, starts: Mapping[int, int]) -> torch.Tensor:
    """Return where the joint matrix [W, b], flattened row by row, lies in the vector of all parameters."""
    device = layer.weight.device
    weight = torch.arange(layer.weight.numel(), device=device) + starts[id(layer.weight)]
    joint = weight.reshape(len(layer.weight), -1)
    if layer.bias is not None:
        bias = torch.arange(layer.bias.numel(), device=device) + starts[id(layer.bias)]
        joint = torch.cat([joint, bias[:, None]], dim=1)
    return joint.flatten()


def _eigenpairs(factor: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return eigenvalues, of which rounding makes none negative, and eigenvectors of a factor."""
    values, vectors = torch.linalg.eigh(factor)
    return values.clamp(min=0), vectors
