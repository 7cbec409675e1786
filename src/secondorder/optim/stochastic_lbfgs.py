"""Stochastic L-BFGS: a quasi-Newton direction whose curvature pairs each come from one function.

Source: oLBFGS of Schraudolph, Yu & Günter 2007, section 3.2; damping by Powell's rule (Nocedal & Wright 2006, section
18.3). One step on a mini-batch B: d = −c H ∇f_B(θ), where c shortens what is too long; s = η d; y = ∇f_B(θ + s) −
∇f_B(θ) + δ s. Both gradients are of the same mini-batch, so that y is its curvature and not the difference of two
mini-batches; a step costs two gradients. H is in :mod:`secondorder.newton.limited_memory`, the rest in
docs/methods.md. Learning rate, history and δ are this project's.

The optimizer ``lbfgs`` is the deterministic method of ``torch.optim``, with several iterations and a line search on
each of its larger batches.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch

from secondorder.newton.limited_memory import CurvaturePair, damped_difference, inverse_product, mean_scale
from secondorder.optim.flat_parameters import FlatParameters
from secondorder.optim.protocol import StepResult
from secondorder.settings import DeclaredSettings, setting
from secondorder.training.objective import Objective


@dataclass(frozen=True)
class Settings(DeclaredSettings):
    """Settings of stochastic L-BFGS."""

    learning_rate: float = setting(1.0, "Step size η, in quasi-Newton steps.", above=0)
    longest_direction: float = setting(
        1.0, "Length that longer quasi-Newton directions, and the first gradient, are shortened to.", above=0
    )
    history: int = setting(10, "Curvature pairs kept.", at_least=1)
    damping: float = setting(0.1, "δ, added to every curvature that is seen: y gains δ s.", at_least=0)
    powell_damping: bool = setting(
        True, "Where s·y is below a fifth of what H predicts, mix y with the prediction rather than skip the pair."
    )
    curvature_tolerance: float = setting(1e-6, "Pairs with s·y at or below this times s·s are skipped.", at_least=0)


class StochasticLBFGS:
    """Stochastic L-BFGS over ``parameters``.

    Args:
        parameters: The parameters, all that the model trains.
        settings: The settings.
    """

    def __init__(self, parameters: Iterable[torch.nn.Parameter], settings: Settings) -> None:
        self._parameters = FlatParameters(parameters)
        self._settings = settings
        self._pairs: list[CurvaturePair] = []

    def step(self, objective: Objective, schedule_factor: float) -> StepResult:
        """Take one step; see the protocol."""
        self._parameters.check(objective)
        loss = objective.loss_and_gradient()
        gradient = self._parameters.gradient()
        scale = mean_scale(self._pairs) if self._pairs else torch.ones_like(loss)
        direction = inverse_product(self._pairs, gradient, scale)
        shortened = (self._settings.longest_direction / direction.norm()).clamp(max=1)
        length = self._settings.learning_rate * schedule_factor * shortened
        step = -length * direction
        self._parameters.move(step)
        objective.loss_and_gradient()
        difference = self._parameters.gradient() - gradient + self._settings.damping * step
        kept = self._learn(step, difference, -length * gradient)
        return StepResult(loss, {"pairs": len(self._pairs), "pair_kept": float(kept)})

    def state_dict(self) -> dict[str, Any]:
        """Return the curvature pairs."""
        return {"pairs": [(pair.step, pair.difference) for pair in self._pairs]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over a state."""
        device = self._parameters.device
        self._pairs = [CurvaturePair(step.to(device), difference.to(device)) for step, difference in state["pairs"]]

    def _learn(self, step: torch.Tensor, difference: torch.Tensor, image: torch.Tensor) -> bool:
        """Keep a pair, damped, unless its curvature is not positive; ``image`` is B s, and B d = −∇f needs no solve."""
        settings = self._settings
        if settings.powell_damping:
            difference = damped_difference(step, difference, image)
        # A comparison with a number that is not finite is false.
        kept = bool(torch.dot(step, difference) > settings.curvature_tolerance * torch.dot(step, step))
        if kept:
            self._pairs = [*self._pairs, CurvaturePair(step, difference)][-settings.history :]
        return kept


def build(parameters: Iterable[torch.nn.Parameter], settings: Settings) -> StochasticLBFGS:
    """Return stochastic L-BFGS over ``parameters``, of which those that require no gradient are left alone."""
    return StochasticLBFGS(parameters, settings)
