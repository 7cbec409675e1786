"""Products on a tape and by double backward, of any module and loss."""

import torch
from torch import nn
from torch.nn import functional

from secondorder.analytic.complex_step import ComplexStep
from secondorder.analytic.r_operator import ROperator
from secondorder.analytic.tracing import record
from secondorder.curvature.flat_vectors import split_like
from secondorder.curvature.products import double_backward

STEP = 1e-20


def flat(pieces):
    return torch.cat([piece.reshape(-1) for piece in pieces])


def r_operator(tape, directions):
    return flat(ROperator(tape)(directions))


def complex_step(tape, directions, step=STEP):
    return flat(ComplexStep(tape)([step * direction for direction in directions])) / step


METHODS = {"r_operator": r_operator, "complex_step": complex_step}


class Applied(nn.Module):
    """A function of the module's parameters alone, of these shapes, with entries from a standard normal."""

    def __init__(self, function, *shapes, positive=False):
        super().__init__()
        tensors = [torch.randn(shape, dtype=torch.float64) for shape in shapes]
        tensors = [tensor.abs() + 0.3 for tensor in tensors] if positive else tensors
        self.arguments = nn.ParameterList(tensors)
        self.function = function

    def forward(self):
        return self.function(*self.arguments)


def bent(outputs):
    """A loss with curvature in whatever outputs there are."""
    tensors = [outputs] if isinstance(outputs, torch.Tensor) else list(outputs)
    tensors = [tensor for tensor in tensors if tensor.is_floating_point()]
    total = 0
    for tensor in tensors:
        weights = torch.linspace(0.5, 1.5, tensor.numel(), dtype=torch.float64, device=tensor.device)
        total = total + (tensor.reshape(-1) * weights).sin().sum()
    return total


def products(module, loss, formula=None):
    """The product with one vector by double backward, of a formula where there is one, and by each method on a tape."""
    parameters = [parameter for parameter in module.parameters() if parameter.requires_grad]
    vector = torch.randn(sum(parameter.numel() for parameter in parameters), dtype=torch.float64)
    truth = double_backward(formula or loss, parameters, vector)
    directions = split_like(vector, parameters)
    tape = record(module, parameters, loss)
    with torch.no_grad():
        return truth, {name: method(tape, directions) for name, method in METHODS.items()}


def relative_error(found, truth):
    return float((found - truth).norm() / truth.norm())


def class_loss(module, inputs, targets, loss_fn=functional.cross_entropy):
    return lambda: loss_fn(module(inputs), targets)
