"""The real reverse pass over a tape: every cotangent, and so the gradient."""

import torch

from secondorder.analytic.elementwise import Elementwise
from secondorder.analytic.linear_maps import LinearMap, Selected, Selection
from secondorder.analytic.products import Product
from secondorder.analytic.tape import Argument, Step, Tape

Cotangents = dict[int, torch.Tensor]


def sum_where_present(a: torch.Tensor | None, b: torch.Tensor | None) -> torch.Tensor | None:
    """Return a + b, None being zero."""
    if a is None or b is None:
        return b if a is None else a
    return a + b


def accumulate(cotangents: Cotangents, number: Argument, part: torch.Tensor | None) -> None:
    """Add a part to the cotangent of a value; None adds nothing, and a constant takes nothing."""
    if isinstance(number, int) and part is not None:
        cotangents[number] = cotangents[number] + part if number in cotangents else part


def reverse(tape: Tape) -> Cotangents:
    """Return ∂L/∂value of each value that the loss depends on, by its number; the parameters' are the gradient."""
    cotangents: Cotangents = {}
    if tape.loss is None:
        return cotangents
    cotangents[tape.loss] = torch.ones_like(tape.values[tape.loss])
    for step in reversed(tape.steps):
        if step.result in cotangents:
            _reverse_step(tape, step, cotangents)
    return cotangents


def _reverse_step(tape: Tape, step: Step, cotangents: Cotangents) -> None:
    cotangent = cotangents[step.result]
    arguments = step.arguments
    if isinstance(step.primitive, Elementwise):
        x = tape.value(arguments[0])
        accumulate(cotangents, arguments[0], cotangent * step.primitive.derivative(x))
    elif isinstance(step.primitive, Product):
        a, b, bias = arguments
        if isinstance(a, int):
            accumulate(cotangents, a, step.primitive.first_adjoint([(cotangent, tape.value(b))]))
        if isinstance(b, int):
            accumulate(cotangents, b, step.primitive.second_adjoint([(cotangent, tape.value(a))]))
        if isinstance(bias, int):
            accumulate(cotangents, bias, step.primitive.bias_adjoint(cotangent))
    else:
        primitive = linear_at(tape, step)
        for argument, part in zip(arguments, primitive.adjoint(cotangent), strict=True):
            accumulate(cotangents, argument, part)


def linear_at(tape: Tape, step: Step) -> LinearMap | Selected:
    """Return the linear map that a step is at the recorded values."""
    if isinstance(step.primitive, Selection):
        return step.primitive.at(tape.value(step.arguments[0]))
    return step.primitive
