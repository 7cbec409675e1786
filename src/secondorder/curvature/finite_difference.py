"""Hessian-vector products by central differences of the gradient."""

import torch

from secondorder.curvature.evaluation import Evaluation, length_of
from secondorder.curvature.flat_vectors import flattened, split_like
from secondorder.errors import InputError


def default_step(evaluation: Evaluation) -> float:
    """Return ε^(1/3) max(1, ‖θ‖), ε the rounding of the parameters' dtype.

    There the truncation, of order step², and the rounding, of order ε/step, of a central difference are alike.
    """
    rounding = torch.finfo(evaluation.parameters[0].dtype).eps
    size = float(flattened([parameter.detach() for parameter in evaluation.parameters]).norm())
    return float(rounding ** (1 / 3) * max(1.0, size))


class FiniteDifference:
    """H v ≈ (∇L(θ + ε v/‖v‖) − ∇L(θ − ε v/‖v‖)) ‖v‖ / (2ε).

    The parameters have other values during each gradient and are set back after it. Between two sides of a kink, as of
    ReLU or max-pooling, a difference is the jump of the gradient divided by the step, and no derivative.

    Args:
        evaluation: What is differentiated.
        step: ε.
    """

    def __init__(self, evaluation: Evaluation, step: float) -> None:
        self._evaluation = evaluation
        self._step = step
        self._point = [parameter.detach().clone() for parameter in evaluation.parameters]
        loss, gradient = evaluation.loss_and_gradient()
        self.loss, self.gradient = loss.detach(), flattened(gradient)

    def __call__(self, vector: torch.Tensor) -> torch.Tensor:
        """Return H v for a vector v that is not zero, shape [P].

        Raises:
            InputError: The step is so small that it is lost beside the parameters.
        """
        length = length_of(vector)
        steps = split_like(vector / length * self._step, self._evaluation.parameters)
        moved = [value + step - value for value, step in zip(self._point, steps, strict=True)]
        if length_of(flattened(moved)) < self._step / 2:
            raise InputError(
                f"a step of {self._step:g} does not move the parameters in {vector.dtype}; use a larger one, or none "
                "for the default"
            )
        difference = self._gradient_at(steps, 1) - self._gradient_at(steps, -1)
        return difference / (2 * self._step) * length

    def _gradient_at(self, steps: list[torch.Tensor], sign: int) -> torch.Tensor:
        point = [torch.add(value, step, alpha=sign) for value, step in zip(self._point, steps, strict=True)]
        with self._evaluation.moved(point):
            return flattened(self._evaluation.loss_and_gradient()[1])
