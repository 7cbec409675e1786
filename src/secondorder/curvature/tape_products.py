"""Hessian-vector products on a recorded tape: by the R-operator and by the complex step."""

import torch

from secondorder.analytic.complex_step import ComplexStep
from secondorder.analytic.r_operator import ROperator
from secondorder.analytic.reverse import gradient_of
from secondorder.analytic.tape import Tape
from secondorder.analytic.tracing import record
from secondorder.curvature.evaluation import Evaluation, check_finite, flattened, length_of
from secondorder.curvature.products import split_like
from secondorder.errors import CapabilityError

_TOLERANCE = {torch.float64: 1e-8, torch.float32: 1e-3}


class ByROperator:
    """H v = R{∇L}: see :class:`secondorder.analytic.r_operator.ROperator`.

    Args:
        evaluation: What is differentiated.
        check: Compare the tape's gradient with PyTorch's.
    """

    def __init__(self, evaluation: Evaluation, *, check: bool) -> None:
        tape = _recorded(evaluation)
        self._parameters = evaluation.parameters
        self._operator = ROperator(tape)
        self.loss, self.gradient = tape.outcome, flattened(self._operator.gradient)
        _check_gradient(evaluation, tape, self.gradient, check=check)

    def __call__(self, vector: torch.Tensor) -> torch.Tensor:
        """Return H v, shape [P]."""
        with torch.no_grad():
            return flattened(self._operator(split_like(vector, self._parameters)))


class ByComplexStep:
    """H v = Im ∇L(θ + i h v/‖v‖) ‖v‖/h: see :class:`secondorder.analytic.complex_step.ComplexStep`.

    Args:
        evaluation: What is differentiated.
        step: h.
        check: Compare the tape's gradient with PyTorch's.
    """

    def __init__(self, evaluation: Evaluation, step: float, *, check: bool) -> None:
        tape = _recorded(evaluation)
        self._parameters = evaluation.parameters
        self._step = step
        self._replay = ComplexStep(tape)
        self.loss, self.gradient = tape.outcome, flattened(gradient_of(tape))
        _check_gradient(evaluation, tape, self.gradient, check=check)

    def __call__(self, vector: torch.Tensor) -> torch.Tensor:
        """Return H v for a vector v that is not zero, shape [P]."""
        length = length_of(vector)
        with torch.no_grad():
            # One factor at a time: step / length may be too small for the dtype.
            moved = split_like((vector / length).mul_(self._step), self._parameters)
            return flattened(self._replay(moved)).div_(self._step).mul_(length)


def _recorded(evaluation: Evaluation) -> Tape:
    with evaluation.same_function():
        tape = record(evaluation.model, evaluation.parameters, evaluation.loss)
    check_finite(tape.outcome)
    return tape


def _check_gradient(evaluation: Evaluation, tape: Tape, gradient: torch.Tensor, *, check: bool) -> None:
    # A loss that depends on nothing may be one whose every path was lost.
    if not check and tape.loss is not None:
        return
    error = _relative_error(evaluation, gradient)
    limit = _TOLERANCE[gradient.dtype]
    # At a minimum a gradient is rounding alone, and says nothing.
    if not error <= limit and not (error := _relative_error_nearby(evaluation)) <= limit:
        raise CapabilityError(
            f"the gradient of the recorded operations differs from PyTorch's by {error:.1e} of its length: the model "
            "has a derivative of its own somewhere, such as a custom autograd.Function or a hook, or is another "
            "function at each call; use the method 'double_backward'"
        )


def _relative_error(evaluation: Evaluation, gradient: torch.Tensor) -> float:
    truth = flattened(evaluation.loss_and_gradient()[1])
    size = max(float(truth.norm()), float(gradient.norm()))
    return float((gradient - truth).norm()) / size if size else 0.0


def _relative_error_nearby(evaluation: Evaluation) -> float:
    generator = torch.Generator().manual_seed(0)
    values = []
    for parameter in evaluation.parameters:
        draws = torch.randn(parameter.shape, generator=generator, dtype=parameter.dtype).to(parameter.device)
        values.append(parameter.detach() + 0.1 * draws * parameter.detach().square().mean().sqrt())
    with evaluation.moved(values):
        return _relative_error(evaluation, flattened(gradient_of(_recorded(evaluation))))
