"""Stochastic Newton-Krylov: conjugate gradients on one mini-batch, ended early, with a controlled step length.

Source: a reading of Shen et al. 2020 ("Second-order Neural Network Training Using Complex-step Directional Derivative",
abstract only). Conjugate gradients end at the first disturbing direction, and the error of the Taylor expansion
controls the length of the step. Both are reconstructed from the abstract and defined in docs/methods.md, section
"Newton-Krylov". The other controls are for comparison.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Literal

import torch

from secondorder.curvature.hessian_vector_products import MethodName
from secondorder.errors import ConfigurationError
from secondorder.newton.armijo import backtrack
from secondorder.newton.conjugate_gradients import conjugate_gradients
from secondorder.newton.krylov_end import KrylovEnd
from secondorder.newton.krylov_solution import KrylovSolution
from secondorder.newton.quadratic_model import QuadraticModel, rounding_of, taylor_error
from secondorder.newton.steihaug import next_radius, steihaug
from secondorder.newton.taylor_control import TaylorRule, taylor_control
from secondorder.optim.flat_parameters import FlatParameters
from secondorder.optim.objective_products import ObjectiveProducts, objective_products
from secondorder.optim.protocol import StepResult
from secondorder.settings import DeclaredSettings, setting
from secondorder.training.objective import Objective

Control = Literal["taylor", "fixed", "armijo", "trust_region"]

SMALLEST_RADIUS = 1e-8
"""The trust region is not made smaller than this, so that it can grow again within a few dozen steps."""


@dataclass(frozen=True)
class Settings(DeclaredSettings):
    """Settings of Newton-Krylov."""

    product: MethodName = setting(
        "r_operator",
        "Method of the Hessian-vector products. `complex_step` is the paper's; all give the same numbers up to their "
        "error, at different prices.",
    )
    product_step: float = setting(
        0.0,
        "Step of `complex_step` or `finite_difference`, relative to the vector; 0 is the method's default.",
        at_least=0,
    )
    krylov_steps: int = setting(10, "Most products of one step.", at_least=1)
    residual_tolerance: float = setting(
        0.01, "Conjugate gradients end where the residual is this share of the gradient.", at_least=0, below=1
    )
    curvature_tolerance: float = setting(
        1e-6,
        "A direction whose curvature is at or below this share of the largest one seen is disturbing; the default is a "
        "few roundings of single precision.",
        at_least=0,
        below=1,
    )
    end_early: bool = setting(True, "End at the first disturbing direction, rather than go on through it.")
    control: Control = setting(
        "taylor",
        "What decides the length α of a step. `taylor`: the error of the Taylor expansion. `fixed`: the learning rate. "
        "`armijo`: backtracking from it. `trust_region`: Steihaug's conjugate gradients, within a radius.",
    )
    learning_rate: float = setting(1.0, "Largest α, in Newton steps; the step of `fixed`.", above=0)
    initial_step: float = setting(1.0, "α that `taylor` starts training with.", above=0)
    shrink_above: float = setting(
        0.75,
        "`taylor` shrinks α where the relative error E is above this; the default is the trust region's ratio of 1/4.",
        above=0,
    )
    grow_below: float = setting(
        0.25, "`taylor` lets α grow where E is below this; the default is the trust region's ratio of 3/4.", at_least=0
    )
    shrink_factor: float = setting(
        0.5, "What `taylor` and `armijo` multiply an α by that is too long.", above=0, below=1
    )
    grow_factor: float = setting(2.0, "What `taylor` multiplies an α by that may grow.", at_least=1)
    retries: int = setting(
        5, "Shorter steps that `taylor` and `armijo` try on a mini-batch before they take none.", at_least=0
    )
    sufficient_decrease: float = setting(
        1e-4,
        "Share of the predicted decrease below which no step is taken: of the slope's by `armijo`, of the quadratic "
        "model's by `trust_region`.",
        above=0,
        below=0.25,
    )
    initial_radius: float = setting(1.0, "Radius that `trust_region` starts training with.", above=0)
    largest_radius: float = setting(100.0, "Largest radius of `trust_region`.", above=0)
    damping: float = setting(0.0, "μ, added to the Hessian that is solved with, and to no prediction.", at_least=0)
    weight_decay: float = setting(0.0, "Regularization λ of the objective, λ/2 ‖θ‖² over all parameters.", at_least=0)
    curvature_samples: int = setting(
        0, "Products are over this many samples of the mini-batch, its last ones; 0 is all.", at_least=0
    )

    def check(self) -> None:
        """Refuse settings that contradict each other."""
        if self.product_step and self.product not in ("complex_step", "finite_difference"):
            raise ConfigurationError(
                f"product_step is {self.product_step:g} and product {self.product!r}, which takes no step; leave it 0, "
                "or use 'complex_step' or 'finite_difference'"
            )
        if self.control == "trust_region" and not self.end_early:
            raise ConfigurationError(
                "end_early is false and control 'trust_region', which always ends at negative curvature; use 'taylor'"
            )
        if self.grow_below > self.shrink_above:
            raise ConfigurationError(
                f"grow_below is {self.grow_below:g} and shrink_above {self.shrink_above:g}, so that a step could be "
                "too long and too short; make grow_below the smaller one"
            )
        if self.initial_radius > self.largest_radius:
            raise ConfigurationError(
                f"initial_radius is {self.initial_radius:g} and largest_radius {self.largest_radius:g}; make the first "
                "the smaller one"
            )


@dataclass(frozen=True)
class _Line:
    """The objective along a direction from the point where a step starts.

    Attributes:
        model: Its quadratic model.
        change: Measures f(θ + α d) − f(θ).
        norm: ‖d‖.
        rounding: A change that counts as none.
    """

    model: QuadraticModel
    change: Callable[[float], float]
    norm: float
    rounding: float


@dataclass(frozen=True)
class _Outcome:
    """How far a step goes, and what is recorded of it.

    Attributes:
        length: α; 0 where no step is taken.
        diagnostics: Numbers of the control.
    """

    length: float
    diagnostics: dict[str, float]


class NewtonKrylov:
    """Newton-Krylov over ``parameters``.

    Args:
        parameters: The parameters, all that the model trains.
        settings: The settings.
    """

    def __init__(self, parameters: Iterable[torch.nn.Parameter], settings: Settings) -> None:
        self._parameters = FlatParameters(parameters)
        self._settings = settings
        self._length = min(settings.initial_step, settings.learning_rate)
        self._radius = settings.initial_radius
        self._checked = False

    def step(self, objective: Objective, schedule_factor: float) -> StepResult:
        """Take one step; see the protocol."""
        self._parameters.check(objective)
        settings = self._settings
        start = self._parameters.vector()
        products = objective_products(
            objective,
            settings.product,
            settings.product_step,
            settings.curvature_samples,
            check=not self._checked,
        )
        self._checked = True
        longest = settings.learning_rate * schedule_factor
        if longest == 0 or not torch.isfinite(products.loss):
            return StepResult(products.loss)
        gradient = products.gradient + settings.weight_decay * start
        solution = self._solve(products, gradient)
        diagnostics: dict[str, float] = {
            "krylov_products": solution.products,
            "krylov_end": solution.end,
            # Of the objective: the damping shifts every curvature alike.
            "smallest_curvature": solution.smallest_curvature - settings.damping,
            "largest_curvature": solution.largest_curvature - settings.damping,
        }
        if solution.end is KrylovEnd.NOT_FINITE:
            # A direction of NaN takes the parameters with it, so that the next loss ends training as diverged.
            self._parameters.place(start + solution.direction)
            return StepResult(products.loss, diagnostics)
        if solution.end is KrylovEnd.ZERO_GRADIENT:
            return StepResult(products.loss, {**diagnostics, "step_size": 0.0})
        direction, model, descends = self._downhill(gradient, solution)
        line = self._line(objective, products, start, direction, model)
        controls = {
            "taylor": self._taylor,
            "fixed": self._fixed,
            "armijo": self._armijo,
            "trust_region": self._trust_region,
        }
        outcome = controls[settings.control](line, longest)
        self._parameters.place(start + outcome.length * direction if outcome.length else start)
        numbers = {"krylov_descends": float(descends), "step_size": outcome.length, **outcome.diagnostics}
        return StepResult(products.loss, {**diagnostics, **numbers})

    def state_dict(self) -> dict[str, Any]:
        """Return step length, radius, and whether the model has been checked."""
        return {"length": self._length, "radius": self._radius, "checked": self._checked}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over a state."""
        self._length = state["length"]
        self._radius = state["radius"]
        self._checked = state["checked"]

    def _solve(self, products: ObjectiveProducts, gradient: torch.Tensor) -> KrylovSolution:
        """Solve (H + (λ + μ) I) d = −(g + λθ), within the radius where there is one."""
        settings = self._settings
        added = settings.weight_decay + settings.damping

        def damped(vector: torch.Tensor) -> torch.Tensor:
            return products(vector) + added * vector if added else products(vector)

        if settings.control == "trust_region":
            return steihaug(
                damped,
                gradient,
                radius=self._radius,
                steps=settings.krylov_steps,
                tolerance=settings.residual_tolerance,
            )
        return conjugate_gradients(
            damped,
            gradient,
            steps=settings.krylov_steps,
            tolerance=settings.residual_tolerance,
            curvature_tolerance=settings.curvature_tolerance,
            end_at_disturbance=settings.end_early,
        )

    def _downhill(self, gradient: torch.Tensor, solution: KrylovSolution) -> tuple[torch.Tensor, QuadraticModel, bool]:
        """Return the direction with its quadratic model, and whether it descends by itself.

        Conjugate gradients that went on through negative curvature may ascend; −g takes the place of such a direction.
        Its opposite would descend, but along it the model has no minimum. The curvature along −g is known: it is the
        first direction of all.
        """
        damping = self._settings.damping
        direction = solution.direction
        slope = float(gradient @ direction)
        if slope < 0:
            damped_curvature = float(direction @ (-gradient - solution.residual))
            curvature = damped_curvature - damping * float(direction @ direction)
            return direction, QuadraticModel(slope, curvature), True
        squared = float(gradient @ gradient)
        return -gradient, QuadraticModel(-squared, (solution.first_curvature - damping) * squared), False

    def _line(
        self,
        objective: Objective,
        products: ObjectiveProducts,
        start: torch.Tensor,
        direction: torch.Tensor,
        model: QuadraticModel,
    ) -> _Line:
        half_decay = self._settings.weight_decay / 2
        along, across = float(start @ direction), float(direction @ direction)

        def change(length: float) -> float:
            self._parameters.place(start + length * direction)
            decay = half_decay * (2 * length * along + length**2 * across)
            return float(objective.loss() - products.loss) + decay

        value = float(products.loss) + half_decay * float(start @ start)
        return _Line(model, change, across**0.5, rounding_of(value, start.dtype))

    def _taylor(self, line: _Line, longest: float) -> _Outcome:
        settings = self._settings
        rule = TaylorRule(
            settings.shrink_above,
            settings.grow_below,
            settings.shrink_factor,
            settings.grow_factor,
            settings.retries,
        )
        found = taylor_control(
            line.change,
            line.model,
            length=self._length,
            longest=longest,
            largest=settings.learning_rate,
            rounding=line.rounding,
            rule=rule,
        )
        self._length = found.next_length
        return _Outcome(found.length, _measured(found.predicted, found.actual, line.rounding, found.retries))

    def _fixed(self, line: _Line, longest: float) -> _Outcome:
        return _Outcome(longest, {"predicted_change": line.model.change(longest)})

    def _armijo(self, line: _Line, longest: float) -> _Outcome:
        settings = self._settings
        found = backtrack(
            line.change,
            line.model.slope,
            length=longest,
            sufficient_decrease=settings.sufficient_decrease,
            shrink=settings.shrink_factor,
            retries=settings.retries,
            rounding=line.rounding,
        )
        predicted = line.model.change(found.tried)
        return _Outcome(found.length, _measured(predicted, found.actual, line.rounding, found.retries))

    def _trust_region(self, line: _Line, longest: float) -> _Outcome:
        settings = self._settings
        radius = self._radius
        predicted, actual = line.model.change(longest), line.change(longest)
        diagnostics = {"trust_radius": radius, **_measured(predicted, actual, line.rounding, 0)}
        if abs(predicted) <= line.rounding and abs(actual) <= line.rounding:
            return _Outcome(longest, diagnostics)
        ratio = actual / predicted if predicted < 0 else float("nan")
        self._radius = max(next_radius(radius, ratio, longest * line.norm, settings.largest_radius), SMALLEST_RADIUS)
        return _Outcome(longest if ratio > settings.sufficient_decrease else 0.0, diagnostics)


def build(parameters: Iterable[torch.nn.Parameter], settings: Settings) -> NewtonKrylov:
    """Return Newton-Krylov over ``parameters``, of which those that require no gradient are left alone."""
    return NewtonKrylov(parameters, settings)


def _measured(predicted: float, actual: float, rounding: float, retries: int) -> dict[str, float]:
    return {
        "predicted_change": predicted,
        "actual_change": actual,
        "taylor_error": taylor_error(predicted, actual, rounding),
        "retries": retries,
    }
