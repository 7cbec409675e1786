"""The tape: which primitives lead from the parameters of a network to its loss."""

from dataclasses import dataclass
from typing import TypeVar

import torch

from secondorder.analytic.elementwise import Elementwise
from secondorder.analytic.linear_maps import LinearMap, Selection
from secondorder.analytic.products import Product
from secondorder.errors import InputError

Primitive = LinearMap | Selection | Product | Elementwise
Argument = int | torch.Tensor | None


@dataclass(frozen=True)
class Step:
    """One primitive and what it is applied to.

    Attributes:
        primitive: The primitive.
        arguments: Numbers of values, or constants; a product's are a, b and its bias, None where it has none.
        result: Number of the value that it computes.
    """

    primitive: Primitive
    arguments: tuple[Argument, ...]
    result: int

    @property
    def moving(self) -> tuple[int, ...]:
        """The numbers of the arguments that depend on the parameters; all of them but for a product."""
        return tuple(argument for argument in self.arguments if isinstance(argument, int))


@dataclass(frozen=True)
class Tape:
    """Steps in the order of their evaluation.

    Attributes:
        steps: The steps that the loss depends on.
        values: Every value that depends on the parameters, by its number; the parameters come first.
        parameters: How many parameters there are.
        loss: Number of the loss; None where it does not depend on the parameters.
        outcome: Its value.
        constants: Tensors that products hold and do not own, and the versions of their memory.
    """

    steps: list[Step]
    values: list[torch.Tensor]
    parameters: int
    loss: int | None
    outcome: torch.Tensor
    constants: list[tuple[torch.Tensor, int]]

    def check_constants(self) -> None:
        """Check that what the tape holds is what it was recorded with.

        Raises:
            InputError: A constant has been changed in place.
        """
        for constant, version in self.constants:
            if constant._version != version:
                raise InputError(
                    f"a tensor of shape {tuple(constant.shape)} that the loss uses has been changed in place since the "
                    "products were made; make them anew, or change a copy"
                )

    def value(self, argument: Argument) -> torch.Tensor:
        """Return an argument's real value."""
        return self.values[argument] if isinstance(argument, int) else given(argument)


_T = TypeVar("_T")


def given(argument: _T | None) -> _T:
    """Return an argument that cannot be absent where it is asked for.

    Raises:
        ValueError: It is absent.
    """
    if argument is None:
        raise ValueError("an argument of a primitive is absent")
    return argument


def without_unused(steps: list[Step], loss: int | None) -> list[Step]:
    """Return the steps that the loss depends on."""
    needed = {loss}
    kept = []
    for step in reversed(steps):
        if step.result in needed:
            kept.append(step)
            needed.update(argument for argument in step.arguments if isinstance(argument, int))
    return kept[::-1]
