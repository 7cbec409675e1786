"""A ``torch.optim`` optimizer as an :class:`~secondorder.optim.protocol.Optimizer`."""

from typing import Any

import torch

from secondorder.optim.protocol import StepResult
from secondorder.training.objective import Objective


class TorchOptimizer:
    """Wraps an optimizer of ``torch.optim`` whose step needs at most a closure.

    Args:
        optimizer: The wrapped optimizer; the learning rate it has now is the one that the schedule scales.
        closure: Whether its step evaluates the objective itself, any number of times (L-BFGS), or is given one
            gradient (all others).
    """

    def __init__(self, optimizer: torch.optim.Optimizer, *, closure: bool = False) -> None:
        self._optimizer = optimizer
        self._closure = closure
        self._learning_rates = [group["lr"] for group in optimizer.param_groups]

    def step(self, objective: Objective, schedule_factor: float) -> StepResult:
        """Take one step of the wrapped optimizer; see the protocol."""
        if self._closure:
            self._scale_learning_rates(schedule_factor)
            first_loss = self._optimizer.step(objective.loss_and_gradient)  # type: ignore[arg-type]
            return StepResult(torch.as_tensor(first_loss).detach())
        loss = objective.loss_and_gradient()
        self.step_with_gradient(schedule_factor)
        return StepResult(loss)

    def step_with_gradient(self, schedule_factor: float) -> None:
        """Take one step with what is in the parameters' ``grad`` already; not for an optimizer with a closure."""
        self._scale_learning_rates(schedule_factor)
        self._optimizer.step()

    def state_dict(self) -> dict[str, Any]:
        """Return the wrapped optimizer's state."""
        return self._optimizer.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over a state from :meth:`state_dict`."""
        self._optimizer.load_state_dict(state)

    def _scale_learning_rates(self, schedule_factor: float) -> None:
        for group, learning_rate in zip(self._optimizer.param_groups, self._learning_rates, strict=True):
            group["lr"] = learning_rate * schedule_factor
