"""Optimizers of pytorch-optimizer that precondition every side of a parameter by a matrix, and what that costs."""

from collections.abc import Callable

import torch

from secondorder.optim.forward_multiplications import forward_multiplications
from secondorder.optim.library_optimizer import steps_taken
from secondorder.optim.protocol import StepResult
from secondorder.optim.torch_adapter import TorchOptimizer
from secondorder.training.objective import Objective


class MatrixPreconditionedOptimizer(TorchOptimizer):
    """Wraps an optimizer that is given one gradient, and counts what it does with its matrices.

    Args:
        optimizer: The wrapped optimizer.
        multiplications: Maps the number of a step, from 1, to the multiplications of its matrices.
    """

    def __init__(self, optimizer: torch.optim.Optimizer, multiplications: Callable[[int], float]) -> None:
        super().__init__(optimizer)
        self._multiplications = multiplications
        self._per_sample_gradient = 0.0

    def step(self, objective: Objective, schedule_factor: float) -> StepResult:
        """Take one step of the wrapped optimizer; see the protocol."""
        try:
            result = super().step(objective, schedule_factor)
        except torch.linalg.LinAlgError:  # type: ignore[attr-defined]
            # Matrices of numbers that are not finite have no eigenvectors. The step says so, and training ends as
            # diverged.
            return StepResult(objective.parameters[0].new_full((), torch.nan))
        if not self._per_sample_gradient:
            self._per_sample_gradient = 3 * forward_multiplications(objective)
        count = self._multiplications(steps_taken(self._optimizer))
        objective.work.count_multiplications(count, self._per_sample_gradient)
        return result
