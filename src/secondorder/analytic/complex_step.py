"""The complex step: H v = Im ∇L(θ + i h v/‖v‖) ‖v‖/h, in pairs of real tensors.

Source: Squire & Trapp 1998, applied to the gradient. Nothing is subtracted, so h can be 1e-100. PyTorch's own complex
convolution recovers its imaginary part by subtraction, and most activations have no complex form; therefore each
complex number is a pair of real tensors here, and every product is its four real ones. The value of −x_i·w_i is 1e-40
of the others', and still its derivative −x_i ȳ_r is of first order: see docs/methods.md, section 2.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from secondorder.analytic.elementwise import Elementwise
from secondorder.analytic.linear_maps import LinearMap, Selected
from secondorder.analytic.products import Pairs, Product
from secondorder.analytic.reverse import linear_at, sum_where_present
from secondorder.analytic.tape import Argument, Step, Tape, given


@dataclass(frozen=True)
class Complex:
    """A complex tensor.

    Attributes:
        real: Its real part.
        imaginary: Its imaginary part; None where it is exactly zero.
    """

    real: torch.Tensor
    imaginary: torch.Tensor | None


class ComplexStep:
    """Imaginary parts of the gradient at complex parameters.

    The tape is replayed in complex arithmetic from the first step to the loss and back. What it branches on is decided
    by the real parts of the replay.

    Args:
        tape: The tape of L.
    """

    def __init__(self, tape: Tape) -> None:
        self._steps = tape.steps
        self._loss = tape.loss
        self._parameters = tape.values[: tape.parameters]

    def __call__(self, imaginary: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """Return Im ∇L(θ + i y) in pieces of the parameters' shapes.

        Args:
            imaginary: y, in pieces of the parameters' shapes.
        """
        if self._loss is None:
            return [torch.zeros_like(parameter) for parameter in self._parameters]
        point = [Complex(real, part) for real, part in zip(self._parameters, imaginary, strict=True)]
        gradient = _Replay(self._steps, point, self._loss).gradient
        return [gradient.get(number, torch.zeros_like(part)) for number, part in enumerate(self._parameters)]

    def slope(self, imaginary: Sequence[torch.Tensor]) -> torch.Tensor:
        """Return Im L(θ + i y), 0-dimensional.

        Args:
            imaginary: y, in pieces of the parameters' shapes.
        """
        if self._loss is None:
            return self._parameters[0].new_zeros(())
        point = [Complex(real, part) for real, part in zip(self._parameters, imaginary, strict=True)]
        with torch.no_grad():
            return given(_Replay(self._steps, point, self._loss).outcome.imaginary)


class _Replay:
    """One forward and one reverse pass at a complex point.

    Reverse mode of a holomorphic function needs no conjugates: x̄ = f'(z) ȳ with ȳ = ∂L/∂y, complex all along. Of the
    parameters' own cotangents, which nothing follows, the imaginary parts alone are computed.

    Attributes:
        outcome: The loss.
        gradient: The imaginary parts of the gradient, by the parameter's number; absent where they are zero.
    """

    def __init__(self, steps: Sequence[Step], point: Sequence[Complex], loss: int) -> None:
        self._values: dict[int, Complex] = dict(enumerate(point))
        self._count = len(point)
        self._derivatives: dict[int, Complex] = {}
        self._maps: dict[int, LinearMap | Selected] = {}
        for step in steps:
            self._values[step.result] = self._forward(step)
        self.outcome = self._values[loss]
        self.gradient: dict[int, torch.Tensor] = {}
        self._cotangents = {loss: Complex(torch.ones_like(self._values[loss].real), None)}
        for step in reversed(steps):
            if step.result in self._cotangents:
                self._backward(step, self._cotangents.pop(step.result))

    def _value(self, argument: Argument) -> Complex:
        if isinstance(argument, int):
            return self._values[argument]
        return Complex(given(argument), None)

    def _forward(self, step: Step) -> Complex:
        primitive, arguments = step.primitive, step.arguments
        if isinstance(primitive, Product):
            return self._product(primitive, arguments)
        values = [self._values[number] for number in step.moving]
        if isinstance(primitive, Elementwise):
            x, y = values[0].real, given(values[0].imaginary)
            self._derivatives[step.result] = Complex(*primitive.continued_derivative(x, y))
            return Complex(*primitive.continuation(x, y))
        linear = linear_at(primitive, lambda: values[0].real)
        self._maps[step.result] = linear
        imaginary = linear.apply(*(given(value.imaginary) for value in values))
        return Complex(linear.value(*(value.real for value in values)), imaginary)

    def _product(self, product: Product, arguments: tuple[Argument, ...]) -> Complex:
        a, b = self._value(arguments[0]), self._value(arguments[1])
        bias = None if arguments[2] is None else self._value(arguments[2])
        # Where the bias alone moves, the product says which shape it is added to.
        imaginary = _imaginary_pairs(a, b) or [(torch.zeros_like(a.real), b.real)]
        return Complex(
            product.apply(_real_pairs(a, b), None if bias is None else bias.real),
            product.apply(imaginary, None if bias is None else bias.imaginary),
        )

    def _backward(self, step: Step, cotangent: Complex) -> None:
        primitive, arguments = step.primitive, step.arguments
        if isinstance(primitive, Product):
            a, b, bias = arguments
            self._add_product(a, primitive.first_adjoint, cotangent, b)
            self._add_product(b, primitive.second_adjoint, cotangent, a)
            if isinstance(bias, int):
                self._add_linear([bias], lambda part: (primitive.bias_adjoint(part),), cotangent)
        elif isinstance(primitive, Elementwise):
            self._add_elementwise(step.moving[0], cotangent, self._derivatives.pop(step.result))
        else:
            self._add_linear(step.moving, self._maps.pop(step.result).adjoint, cotangent)

    def _add_product(
        self, number: Argument, adjoint: Callable[[Pairs], torch.Tensor], cotangent: Complex, other: Argument
    ) -> None:
        if isinstance(number, int):
            factor = self._value(other)
            real = None if self._is_parameter(number) else adjoint(_real_pairs(cotangent, factor))
            pairs = _imaginary_pairs(cotangent, factor)
            self._add(number, real, adjoint(pairs) if pairs else None)

    def _add_elementwise(self, number: int, cotangent: Complex, derivative: Complex) -> None:
        p, q, a, b = cotangent.real, cotangent.imaginary, derivative.real, derivative.imaginary
        real, imaginary = a * p, None if q is None else a * q
        if b is not None:
            real = real if q is None else real.addcmul_(b, q, value=-1)
            imaginary = b * p if imaginary is None else imaginary.addcmul_(b, p)
        self._add(number, real, imaginary)

    def _add_linear(
        self,
        numbers: Sequence[int],
        adjoint: Callable[[torch.Tensor], tuple[torch.Tensor | None, ...]],
        cotangent: Complex,
    ) -> None:
        nothing = [None] * len(numbers)
        to_parameters = all(self._is_parameter(number) for number in numbers)
        reals = nothing if to_parameters else adjoint(cotangent.real)
        imaginaries = nothing if cotangent.imaginary is None else adjoint(cotangent.imaginary)
        for number, real, imaginary in zip(numbers, reals, imaginaries, strict=True):
            self._add(number, real, imaginary)

    def _add(self, number: int, real: torch.Tensor | None, imaginary: torch.Tensor | None) -> None:
        if self._is_parameter(number):
            total = sum_where_present(self.gradient.get(number), imaginary)
            if total is not None:
                self.gradient[number] = total
        elif real is not None:
            before = self._cotangents.get(number)
            if before is not None:
                real, imaginary = before.real + real, sum_where_present(before.imaginary, imaginary)
            self._cotangents[number] = Complex(real, imaginary)

    def _is_parameter(self, argument: Argument) -> bool:
        return isinstance(argument, int) and argument < self._count


def _real_pairs(a: Complex, b: Complex) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Return pairs whose products add up to the real part of a b."""
    pairs = [(a.real, b.real)]
    if a.imaginary is not None and b.imaginary is not None:
        pairs.append((a.imaginary, -b.imaginary))
    return pairs


def _imaginary_pairs(a: Complex, b: Complex) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Return pairs whose products add up to the imaginary part of a b."""
    pairs = [] if b.imaginary is None else [(a.real, b.imaginary)]
    return pairs if a.imaginary is None else [*pairs, (a.imaginary, b.real)]
