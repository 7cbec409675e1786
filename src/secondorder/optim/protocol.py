"""What training asks of an optimizer: one step on one mini-batch objective, and a state that resumes bitwise."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch

from secondorder.training.objective import Objective


@dataclass(frozen=True)
class StepResult:
    """What one step reports.

    Attributes:
        loss: The objective at the parameters the step started from, a 0-dimensional tensor on the training device.
            It stays there: reading it would make every step wait for the device.
        diagnostics: Further numbers worth a curve (damping, curvature seen, products used …), recorded under their
            names as step metrics.
    """

    loss: torch.Tensor
    diagnostics: Mapping[str, float | torch.Tensor] = field(default_factory=dict)


class Optimizer(Protocol):
    """An optimizer, first or second order.

    The objective is the mini-batch loss as one function of the parameters. A first-order method asks it for a
    gradient; a second-order method also for Hessian-vector products, for the loss at trial parameters, or for the
    model with its inputs and targets.
    """

    def step(self, objective: Objective, schedule_factor: float) -> StepResult:
        """Move the parameters once.

        Args:
            objective: The mini-batch loss, the same function each time it is evaluated within the step.
            schedule_factor: What the learning-rate schedule multiplies the configured learning rate by, in [0, 1].
        """
        ...

    def state_dict(self) -> dict[str, Any]:
        """Return everything the next step depends on, apart from the parameters."""
        ...

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over a state from :meth:`state_dict`; the steps that follow are bitwise those of the original."""
        ...
