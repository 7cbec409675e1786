"""Hessian-vector products on a recorded tape: by the R-operator and by the complex step."""

import torch

from secondorder.analytic.complex_step import ComplexStep
from secondorder.analytic.r_operator import ROperator
from secondorder.analytic.reverse import gradient_of
from secondorder.analytic.tape import Tape
from secondorder.analytic.tracing import record
from secondorder.curvature.evaluation import Evaluation, check_finite, length_of
from secondorder.curvature.flat_vectors import flattened, split_like
from secondorder.curvature.tape_check import Found, check_tape

COMPLEX_STEP = 1e-20


class ByROperator:
    """H v = R{∇L}: see :class:`secondorder.analytic.r_operator.ROperator`.

    Args:
        evaluation: What is differentiated.
        check: Compare loss, gradient, slope and one product with PyTorch's.
    """

    def __init__(self, evaluation: Evaluation, *, check: bool) -> None:
        self._tape = _recorded(evaluation)
        self._parameters = evaluation.parameters
        self._operator = ROperator(self._tape)
        self.loss, self.gradient = self._tape.outcome, flattened(self._operator.gradient)
        # A loss that depends on nothing may be one whose every path was lost.
        if check or self._tape.loss is None:
            check_tape(evaluation, self._found(self._tape), lambda: self._found(_recorded(evaluation)))

    def __call__(self, vector: torch.Tensor) -> torch.Tensor:
        """Return H v, shape [P].

        Raises:
            InputError: A tensor that the loss uses has been changed in place.
        """
        self._tape.check_constants()
        with torch.no_grad():
            return flattened(self._operator(split_like(vector, self._parameters)))

    def _found(self, tape: Tape) -> Found:
        operator = ROperator(tape)
        return Found(
            tape.outcome,
            flattened(operator.gradient),
            lambda v: operator.slope(split_like(v, self._parameters)),
            lambda v: flattened(operator(split_like(v, self._parameters))),
        )


class ByComplexStep:
    """H v = Im ∇L(θ + i h v/‖v‖) ‖v‖/h: see :class:`secondorder.analytic.complex_step.ComplexStep`.

    Args:
        evaluation: What is differentiated.
        step: h.
        check: Compare loss, gradient, slope and one product with PyTorch's.
    """

    def __init__(self, evaluation: Evaluation, step: float, *, check: bool) -> None:
        self._tape = _recorded(evaluation)
        self._parameters = evaluation.parameters
        self._step = step
        self._replay = ComplexStep(self._tape)
        self.loss, self.gradient = self._tape.outcome, flattened(gradient_of(self._tape))
        if check or self._tape.loss is None:
            check_tape(evaluation, self._found(self._tape), lambda: self._found(_recorded(evaluation)))

    def __call__(self, vector: torch.Tensor) -> torch.Tensor:
        """Return H v for a vector v that is not zero, shape [P].

        Raises:
            InputError: A tensor that the loss uses has been changed in place.
        """
        self._tape.check_constants()
        length = length_of(vector)
        with torch.no_grad():
            # One factor at a time: step / length may be too small for the dtype.
            moved = split_like((vector / length).mul_(self._step), self._parameters)
            return flattened(self._replay(moved)).div_(self._step).mul_(length)

    def _found(self, tape: Tape) -> Found:
        # A longer step errs by its square, which is no fault of the tape.
        step = min(self._step, COMPLEX_STEP)
        replay = ComplexStep(tape)
        return Found(
            tape.outcome,
            flattened(gradient_of(tape)),
            lambda v: replay.slope(split_like(step * v, self._parameters)) / step,
            lambda v: flattened(replay(split_like(step * v, self._parameters))) / step,
        )


def _recorded(evaluation: Evaluation) -> Tape:
    try:
        with evaluation.same_function():
            tape = record(evaluation.model, evaluation.parameters, evaluation.loss)
    except (RuntimeError, TypeError, ValueError, IndexError, AttributeError):
        # Of inputs and targets that do not fit, PyTorch's own functions say more than what replaces them.
        with evaluation.same_function():
            evaluation.loss()
        raise
    check_finite(tape.outcome)
    return tape
