"""The real reverse pass over a tape: every cotangent, and so the gradient."""

from collections.abc import Callable

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


def gradient_of(tape: Tape) -> list[torch.Tensor]:
    """Return ∇L in pieces of the parameters' shapes."""
    with torch.no_grad():
        cotangents = reverse(tape)
    return [
        cotangents[number] if number in cotangents else torch.zeros_like(value)
        for number, value in enumerate(tape.values[: tape.parameters])
    ]


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
        linear = linear_at(step.primitive, lambda: tape.value(arguments[0]))
        for argument, part in zip(arguments, linear.adjoint(cotangent), strict=True):
            accumulate(cotangents, argument, part)


def linear_at(primitive: LinearMap | Selection, values: Callable[[], torch.Tensor]) -> LinearMap | Selected:
    """Return the linear map that a primitive is, a selection at these values."""
    return primitive.at(values()) if isinstance(primitive, Selection) else primitive
