"""Hessian-free optimization: conjugate gradients on the damped Gauss-Newton matrix of a mini-batch.

Source: Martens 2010 ("Deep learning via Hessian-free optimization"), section 4. The rule of the damping, the test of
progress, the growth between saved iterates and the preconditioner's exponent are the paper's; the decay of the start is
of Martens & Sutskever 2012. The first damping and its floor, the most products, the preconditioner's backward passes
and the line search's constants are this project's. Defined in docs/methods.md, section "Hessian-free".
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch

from secondorder.newton.armijo import backtrack
from secondorder.newton.conjugate_gradients import conjugate_gradients
from secondorder.newton.iterate_backtracking import IterateSaver, SavedIterate, best_iterate
from secondorder.newton.krylov_end import KrylovEnd
from secondorder.newton.krylov_solution import Iterate, KrylovSolution
from secondorder.newton.levenberg_marquardt import next_damping, reduction_ratio
from secondorder.newton.preconditioner import diagonal_preconditioner
from secondorder.newton.quadratic_model import QuadraticModel, rounding_of
from secondorder.newton.relative_progress import RelativeProgress
from secondorder.optim.flat_parameters import FlatParameters
from secondorder.optim.objective_products import ObjectiveGaussNewton, objective_gauss_newton
from secondorder.optim.protocol import StepResult
from secondorder.settings import DeclaredSettings, setting
from secondorder.training.objective import Objective


@dataclass(frozen=True)
class Settings(DeclaredSettings):
    """Settings of Hessian-free optimization."""

    learning_rate: float = setting(1.0, "Longest step, in solutions of the damped system.", above=0)
    damping: float = setting(
        1.0,
        "Tikhonov damping λ of the Gauss-Newton matrix that is solved with, at the start; then it adapts.",
        above=0,
    )
    damping_floor: float = setting(
        0.1,
        "Share of its start at or below which λ is not lowered further. The loss of the mini-batch that a step is made "
        "of falls as predicted however much of it is noise, so that λ would fall without end.",
        above=0,
        at_most=1,
    )
    krylov_steps: int = setting(10, "Most products of one step, without the one that a start takes.", at_least=1)
    relative_progress: float = setting(
        5e-4, "Conjugate gradients end where an update lowers the model by less than this share of it.", at_least=0
    )
    start_decay: float = setting(
        0.95,
        "Share of the last step's solution that conjugate gradients start from; 0 is none.",
        at_least=0,
        at_most=1,
    )
    iterate_growth: float = setting(
        1.3, "γ: the iterates ⌈γ^j⌉ are kept, and the step goes back to one of them where the loss is lower.", above=1
    )
    preconditioner_passes: int = setting(
        1, "Backward passes that estimate the preconditioner's diagonal; 0 is no preconditioner.", at_least=0
    )
    preconditioner_exponent: float = setting(
        0.75, "ξ of the preconditioner (D + λ)^ξ; below 1 it trusts the diagonal less.", above=0, at_most=1
    )
    shrink_factor: float = setting(0.5, "What the line search multiplies a step by that is too long.", above=0, below=1)
    retries: int = setting(5, "Shorter steps that the line search tries before none is taken.", at_least=0)
    sufficient_decrease: float = setting(
        1e-4, "Share of the slope's decrease that the line search asks for.", above=0, below=0.5
    )
    curvature_samples: int = setting(
        0, "Products are over this many samples of the mini-batch, its last ones; 0 is all.", at_least=0
    )


class HessianFree:
    """Hessian-free optimization over ``parameters``.

    Args:
        parameters: The parameters, all that the model trains.
        settings: The settings.
    """

    def __init__(self, parameters: Iterable[torch.nn.Parameter], settings: Settings) -> None:
        self._parameters = FlatParameters(parameters)
        self._settings = settings
        self._damping = settings.damping
        self._solution: torch.Tensor | None = None

    def step(self, objective: Objective, schedule_factor: float) -> StepResult:
        """Take one step; see the protocol."""
        self._parameters.check(objective)
        theta = self._parameters.vector()
        products = objective_gauss_newton(objective, self._settings.curvature_samples)
        longest = self._settings.learning_rate * schedule_factor
        if longest == 0 or not torch.isfinite(products.loss):
            return StepResult(products.loss)
        rounding = rounding_of(float(products.loss), theta.dtype)
        saver = IterateSaver(self._settings.iterate_growth)
        solution = self._solve(products, saver)
        diagnostics: dict[str, float] = {"damping": self._damping, "conjugate_gradient_products": solution.products}
        if solution.end is KrylovEnd.NOT_FINITE:
            # A direction of NaN takes the parameters with it, so that the next loss ends training as diverged.
            self._parameters.place(theta + solution.direction)
            return StepResult(products.loss, diagnostics)
        if solution.end is KrylovEnd.ZERO_GRADIENT:
            return StepResult(products.loss, {**diagnostics, "step_size": 0.0})
        self._solution = solution.direction

        def change(move: torch.Tensor) -> float:
            self._parameters.place(theta + move)
            return float(objective.loss() - products.loss)

        iterates = saver.saved() or [_without_update(solution, products.gradient)]
        best, measured = best_iterate(iterates, lambda direction: change(longest * direction))
        model = self._model(products.gradient, best)
        found = backtrack(
            # The longest step is measured already.
            lambda length: measured if length == longest else change(length * best.direction),
            model.slope,
            length=longest,
            sufficient_decrease=self._settings.sufficient_decrease,
            shrink=self._settings.shrink_factor,
            retries=self._settings.retries,
            rounding=rounding,
        )
        self._parameters.place(theta + found.length * best.direction if found.length else theta)
        # Of the step that was solved for: a shorter one always agrees with the model.
        predicted = model.change(longest)
        ratio = reduction_ratio(measured, predicted, rounding)
        self._damping = next_damping(self._damping, ratio, self._settings.damping_floor * self._settings.damping)
        numbers = {
            "conjugate_gradient_iterate": best.number,
            "predicted_change": predicted,
            "actual_change": measured,
            "reduction_ratio": float("nan") if ratio is None else ratio,
            "step_size": found.length,
        }
        return StepResult(products.loss, {**diagnostics, **numbers})

    def state_dict(self) -> dict[str, Any]:
        """Return the damping, and the solution that the next step starts from."""
        return {"damping": self._damping, "solution": self._solution}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over a state."""
        self._damping = state["damping"]
        solution = state["solution"]
        self._solution = None if solution is None else solution.to(self._parameters.device)

    def _solve(self, products: ObjectiveGaussNewton, saver: IterateSaver) -> KrylovSolution:
        """Solve (G + λ) d = −∇f, and keep iterates on the way."""
        settings, damping = self._settings, self._damping
        progress = RelativeProgress(settings.relative_progress)

        def watch(iterate: Iterate) -> bool:
            saver.see(iterate)
            return progress(iterate)

        preconditioner = None
        if settings.preconditioner_passes:
            diagonal = products.squared_gradients(settings.preconditioner_passes)
            preconditioner = diagonal_preconditioner(diagonal, damping, settings.preconditioner_exponent)
        start = None
        if self._solution is not None and settings.start_decay:
            start = settings.start_decay * self._solution
        return conjugate_gradients(
            lambda vector: products(vector).add_(vector, alpha=damping),
            products.gradient,
            steps=settings.krylov_steps,
            tolerance=0.0,
            curvature_tolerance=0.0,
            preconditioner=preconditioner,
            start=start,
            watch=watch,
        )

    def _model(self, gradient: torch.Tensor, iterate: SavedIterate) -> QuadraticModel:
        """Return the undamped model along an iterate; φ(d) = gᵀd + ½ dᵀ(G + λ)d says what dᵀGd is."""
        slope = float(gradient @ iterate.direction)
        squared = float(iterate.direction @ iterate.direction)
        return QuadraticModel(slope, 2 * (iterate.change - slope) - self._damping * squared)


def build(parameters: Iterable[torch.nn.Parameter], settings: Settings) -> HessianFree:
    """Return Hessian-free optimization over ``parameters``, of which those that require no gradient are left alone."""
    return HessianFree(parameters, settings)


def _without_update(solution: KrylovSolution, gradient: torch.Tensor) -> SavedIterate:
    """Return the direction of an iteration that ended before its first update."""
    iterate = Iterate(0, solution.direction, solution.residual, gradient)
    return SavedIterate(0, iterate.direction, iterate.change())
