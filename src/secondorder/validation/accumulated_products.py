"""Products with the Hessian of a mean loss over more images than pass through at once, and its trace."""

import torch
from torch import nn

from secondorder.curvature.exact_hessian import ExactHessian
from secondorder.curvature.products import double_backward
from secondorder.problems.problem import Loss
from secondorder.validation.eigensolvers import Product

_IMAGES_AT_ONCE = 100


def accumulated_product(model: nn.Module, loss: Loss, inputs: torch.Tensor, targets: torch.Tensor) -> Product:
    """Return v ↦ Hv of float64 vectors, H the Hessian of the mean loss over the samples, in the model's precision.

    Args:
        model: The network.
        loss: Mean over a batch.
        inputs: Inputs, batch first; they pass through in parts, which bounds the memory.
        targets: Targets, batch first.
    """
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    parts = list(zip(torch.split(inputs, _IMAGES_AT_ONCE), torch.split(targets, _IMAGES_AT_ONCE), strict=True))

    def product(vector: torch.Tensor) -> torch.Tensor:
        direction = vector.to(inputs.dtype)
        total = torch.zeros_like(vector)
        for part, wanted in parts:

            def value(part: torch.Tensor = part, wanted: torch.Tensor = wanted) -> torch.Tensor:
                return loss(model(part), wanted)

            total += len(part) * double_backward(value, parameters, direction)
        return total / len(inputs)

    return product


def accumulated_trace(model: nn.Module, loss: Loss, inputs: torch.Tensor, targets: torch.Tensor) -> float:
    """Return the trace of the same Hessian from the closed form, the mean over parts of the samples.

    Args:
        model: The network; all of its layers dense.
        loss: Mean over a batch.
        inputs: Inputs, batch first.
        targets: Targets, batch first.
    """
    total = 0.0
    for part, wanted in zip(torch.split(inputs, _IMAGES_AT_ONCE), torch.split(targets, _IMAGES_AT_ONCE), strict=True):
        total += len(part) * float(ExactHessian(model, loss, part, wanted).trace())
    return total / len(inputs)
