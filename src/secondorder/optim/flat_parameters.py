"""The parameters that an optimizer moves, as one vector θ of shape [P]."""

from collections.abc import Iterable, Iterator

import torch

from secondorder.curvature.flat_vectors import flattened, split_like
from secondorder.errors import InputError
from secondorder.training.objective import Objective


class FlatParameters:
    """A model's trained parameters, read and moved as one vector, in the order of ``parameters()``.

    Args:
        parameters: The parameters; those that require no gradient are left alone.

    Attributes:
        size: P.

    Raises:
        InputError: None requires a gradient.
    """

    def __init__(self, parameters: Iterable[torch.nn.Parameter]) -> None:
        self._parameters = [parameter for parameter in parameters if parameter.requires_grad]
        if not self._parameters:
            raise InputError(
                "no parameter requires a gradient, so there is nothing to optimize; set requires_grad of some"
            )
        self.size = sum(parameter.numel() for parameter in self._parameters)

    def __iter__(self) -> Iterator[torch.nn.Parameter]:
        """Yield the parameters."""
        return iter(self._parameters)

    @property
    def device(self) -> torch.device:
        """Where the parameters are."""
        return self._parameters[0].device

    def vector(self) -> torch.Tensor:
        """Return a copy of θ."""
        return flattened(self._parameters).detach()

    def gradient(self) -> torch.Tensor:
        """Return what is in the parameters' ``grad``, zeros where there is nothing."""
        return flattened([torch.zeros_like(p) if p.grad is None else p.grad for p in self._parameters])

    def pieces(self, vector: torch.Tensor) -> Iterator[tuple[torch.nn.Parameter, torch.Tensor]]:
        """Return each parameter with its part of a vector of shape [P], in the parameter's shape."""
        return zip(self._parameters, split_like(vector, self._parameters), strict=True)

    @torch.no_grad()
    def place(self, theta: torch.Tensor) -> None:
        """Set the parameters to θ."""
        for parameter, piece in self.pieces(theta):
            parameter.copy_(piece)

    @torch.no_grad()
    def move(self, step: torch.Tensor) -> None:
        """Add a step of shape [P] to the parameters."""
        for parameter, piece in self.pieces(step):
            parameter.add_(piece)

    def check(self, objective: Objective) -> None:
        """Check that these are what an objective is a function of, in the same order.

        The entries of its flat gradient would otherwise go to other parameters, without a word.

        Raises:
            InputError: They are not the model's parameters that require a gradient, in the order of ``parameters()``.
        """
        own, others = self._parameters, objective.parameters
        if len(own) != len(others) or any(a is not b for a, b in zip(own, others, strict=True)):
            raise InputError(
                f"the optimizer was built over {len(own)} parameters that are not the {len(others)} of the model that "
                "require a gradient, in their order; build it over list(model.parameters()), and anew when parameters "
                "are frozen"
            )
