"""The R-operator: derivatives along a vector of a forward and a reverse pass.

Source: Pearlmutter 1994, sections 3 and 4. R{f} = ∂f(θ + r v)/∂r at r = 0. The real passes are made once; a product
takes one forward pass of tangents R{y} and one reverse pass of the tangents R{ȳ} of cotangents, of first order alone.
"""

from collections.abc import Sequence

import torch

from secondorder.analytic.elementwise import Elementwise
from secondorder.analytic.linear_maps import LinearMap, Selected
from secondorder.analytic.products import Pairs, Product
from secondorder.analytic.reverse import Cotangents, accumulate, linear_at, reverse
from secondorder.analytic.tape import Argument, Step, Tape

Tangents = dict[int, torch.Tensor]


class ROperator:
    """Products H v = R{∇L} at the point where a tape was recorded.

    Args:
        tape: The tape of L.
    """

    def __init__(self, tape: Tape) -> None:
        cotangents = reverse(tape)
        self._loss = tape.loss
        self._outcome = tape.outcome
        self._like = tape.values[: tape.parameters]
        self.gradient = [cotangents.get(number, torch.zeros_like(p)) for number, p in enumerate(self._like)]
        self._rules = [_rule(tape, step, cotangents) for step in tape.steps if step.result in cotangents]

    def __call__(self, directions: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """Return H v in pieces of the parameters' shapes.

        Args:
            directions: v, in pieces of the parameters' shapes.
        """
        tangents: Tangents = dict(enumerate(directions))
        for rule in self._rules:
            rule.forward(tangents)
        curved: Cotangents = {}
        for rule in reversed(self._rules):
            rule.backward(tangents, curved)
        return [curved.get(number, torch.zeros_like(parameter)) for number, parameter in enumerate(self._like)]

    def slope(self, directions: Sequence[torch.Tensor]) -> torch.Tensor:
        """Return R{L} = ⟨∇L, v⟩ by the forward pass of tangents, 0-dimensional."""
        tangents: Tangents = dict(enumerate(directions))
        with torch.no_grad():
            for rule in self._rules:
                rule.forward(tangents)
        return torch.zeros_like(self._outcome) if self._loss is None else tangents[self._loss]


class _LinearRule:
    """R{y} = A R{x}; R{x̄} = Aᵀ R{ȳ}."""

    def __init__(self, linear: LinearMap | Selected, arguments: tuple[int, ...], result: int) -> None:
        self._linear, self._arguments, self._result = linear, arguments, result

    def forward(self, tangents: Tangents) -> None:
        tangents[self._result] = self._linear.apply(*(tangents[argument] for argument in self._arguments))

    def backward(self, _: Tangents, curved: Cotangents) -> None:
        if self._result in curved:
            parts = self._linear.adjoint(curved.pop(self._result))
            for argument, part in zip(self._arguments, parts, strict=True):
                accumulate(curved, argument, part)


class _ElementwiseRule:
    """R{y} = f'(x) R{x}; R{x̄} = f'(x) R{ȳ} + f''(x) ȳ R{x}."""

    def __init__(
        self, function: Elementwise, x: torch.Tensor, cotangent: torch.Tensor, argument: int, result: int
    ) -> None:
        self._argument, self._result = argument, result
        self._slope = function.derivative(x)
        second = function.second_derivative(x)
        self._bend = None if second is None else second * cotangent

    def forward(self, tangents: Tangents) -> None:
        tangents[self._result] = tangents[self._argument] * self._slope

    def backward(self, tangents: Tangents, curved: Cotangents) -> None:
        moved = curved.pop(self._result, None)
        if moved is not None:
            moved = moved * self._slope
        if self._bend is not None:
            tangent = tangents[self._argument]
            moved = self._bend * tangent if moved is None else moved.addcmul_(self._bend, tangent)
        accumulate(curved, self._argument, moved)


class _ProductRule:
    """R{y} = B(R{a}, b) + B(a, R{b}), and the same of the adjoints."""

    def __init__(self, tape: Tape, step: Step, product: Product, cotangent: torch.Tensor) -> None:
        self._product, self._cotangent, self._result = product, cotangent, step.result
        self._a, self._b, self._bias = (
            argument if isinstance(argument, int) else None for argument in _three(step.arguments)
        )
        a, b, _ = step.arguments
        self._values = tape.value(a), tape.value(b)

    def forward(self, tangents: Tangents) -> None:
        a, b = self._values
        pairs = []
        if self._b is not None:
            pairs.append((a, tangents[self._b]))
        if self._a is not None:
            pairs.append((tangents[self._a], b))
        if not pairs:
            # The bias alone moves; the product says which shape it is added to.
            pairs.append((torch.zeros_like(a), b))
        bias = None if self._bias is None else tangents[self._bias]
        tangents[self._result] = self._product.apply(pairs, bias)

    def backward(self, tangents: Tangents, curved: Cotangents) -> None:
        a, b = self._values
        moved = curved.pop(self._result, None)
        if self._a is not None:
            pairs = self._pairs(moved, b, None if self._b is None else tangents[self._b])
            if pairs:
                accumulate(curved, self._a, self._product.first_adjoint(pairs))
        if self._b is not None:
            pairs = self._pairs(moved, a, None if self._a is None else tangents[self._a])
            if pairs:
                accumulate(curved, self._b, self._product.second_adjoint(pairs))
        if self._bias is not None and moved is not None:
            accumulate(curved, self._bias, self._product.bias_adjoint(moved))

    def _pairs(self, moved: torch.Tensor | None, value: torch.Tensor, tangent: torch.Tensor | None) -> Pairs:
        pairs = [] if moved is None else [(moved, value)]
        return pairs if tangent is None else [*pairs, (self._cotangent, tangent)]


_Rule = _LinearRule | _ElementwiseRule | _ProductRule


def _rule(tape: Tape, step: Step, cotangents: Cotangents) -> _Rule:
    cotangent = cotangents[step.result]
    if isinstance(step.primitive, Product):
        return _ProductRule(tape, step, step.primitive, cotangent)
    first = tape.values[step.moving[0]]
    if isinstance(step.primitive, Elementwise):
        return _ElementwiseRule(step.primitive, first, cotangent, step.moving[0], step.result)
    return _LinearRule(linear_at(step.primitive, lambda: first), step.moving, step.result)


def _three(arguments: tuple[Argument, ...]) -> tuple[Argument, Argument, Argument]:
    a, b, bias = arguments
    return a, b, bias
