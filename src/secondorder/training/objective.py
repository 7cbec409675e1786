"""The mini-batch objective: one function of the parameters for the length of one step."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from secondorder.problems.problem import Loss
from secondorder.training.randomness import get_random_state, set_random_state
from secondorder.training.work import Work


class Objective:
    """The loss of one mini-batch, plus the penalty, as a function of the parameters.

    f(θ) = loss(model_θ(inputs), targets) + λ/2 ‖w‖², w the parameters of two or more dimensions.

    However often a step evaluates it, it is one function: each evaluation uses the same dropout masks (the random
    number generator is set back to where the first one started, and afterwards to where it was, so that what an
    optimizer draws itself between evaluations is new each time) and moves BatchNorm's running statistics once, at the
    first.

    Args:
        model: The network; its current parameters are θ.
        loss: Maps outputs and targets to a 0-dimensional tensor.
        inputs: Network inputs of the batch, normalised and augmented already.
        targets: Their targets.
        work: The counter that every evaluation is added to; a method that looks inside the model adds its own work.
        penalty: λ.
    """

    def __init__(
        self,
        model: nn.Module,
        loss: Loss,
        inputs: torch.Tensor,
        targets: torch.Tensor,
        work: Work,
        penalty: float = 0.0,
    ) -> None:
        self.model = model
        self.loss_function = loss
        self.inputs = inputs
        self.targets = targets
        self.penalty = penalty
        self._all_parameters = list(model.parameters())
        self.parameters = [parameter for parameter in self._all_parameters if parameter.requires_grad]
        self.work = work
        self._random_state: dict[str, torch.Tensor] | None = None

    def loss(self) -> torch.Tensor:
        """Return f(θ) without a gradient; costs one forward pass."""
        self.work.count_loss(len(self.inputs))
        with torch.no_grad(), self.same_function():
            return self._evaluate()

    def loss_and_gradient(self) -> torch.Tensor:
        """Return f(θ), detached, and leave ∇f(θ) in the parameters' ``grad``; costs one gradient."""
        self.work.count_gradient(len(self.inputs))
        # Of frozen parameters too: an optimizer that was built over them would follow an old gradient.
        for parameter in self._all_parameters:
            parameter.grad = None
        with torch.enable_grad(), self.same_function():
            value = self._evaluate()
            value.backward()  # type: ignore[no-untyped-call]
        return value.detach()

    def _evaluate(self) -> torch.Tensor:
        return self.of_outputs(self.model(self.inputs))

    def of_outputs(self, outputs: torch.Tensor) -> torch.Tensor:
        """Return f(θ) with its graph, for a method that evaluates the model itself; costs nothing beyond that.

        Args:
            outputs: What the model makes of the inputs at θ.
        """
        value = self.loss_function(outputs, self.targets)
        if self.penalty:
            for parameter in self.parameters:
                if parameter.ndim > 1:
                    value = value + 0.5 * self.penalty * parameter.square().sum()
        return value

    @contextmanager
    def same_function(self) -> Iterator[None]:
        """Evaluate the model in this block as every other evaluation of the objective does: see the class."""
        device = self.inputs.device
        if self._random_state is None:
            self._random_state = get_random_state(device)
            yield
            return
        outside = get_random_state(device)
        set_random_state(device, self._random_state)
        # Copies move in place of the buffers, because a value copied back would spoil a graph that is kept. Those of a
        # module in evaluation mode do not move.
        training = [module for module in self.model.modules() if module.training]
        moving = [(module, dict(module.named_buffers(recurse=False, remove_duplicate=False))) for module in training]
        copies = {id(buffer): buffer.clone() for _, buffers in moving for buffer in buffers.values()}
        for module, buffers in moving:
            module._buffers.update({name: copies[id(buffer)] for name, buffer in buffers.items()})
        try:
            yield
        finally:
            set_random_state(device, outside)
            for module, buffers in moving:
                module._buffers.update(buffers)
