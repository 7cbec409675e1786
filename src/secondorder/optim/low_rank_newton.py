"""Low-rank saddle-free Newton: the absolute Hessian of a mini-batch, in the span of its leading eigenvectors.

Source: Dauphin et al. 2014 ("Identifying and attacking the saddle point problem in high-dimensional non-convex
optimization"), whose saddle-free step it takes in a Krylov space. Lanczos starts from the gradient, with full
reorthogonalization; the leading Ritz pairs are kept for a few mini-batches. What is done outside of their span, and
the defaults, are this project's own; docs/methods.md, section "Low rank".
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch

from secondorder.curvature.eigenbasis import leading
from secondorder.curvature.hessian_vector_products import MethodName
from secondorder.errors import ConfigurationError
from secondorder.newton.low_rank import low_rank_direction
from secondorder.optim.flat_parameters import FlatParameters
from secondorder.optim.kept_eigenbasis import KeptEigenbasis
from secondorder.optim.protocol import StepResult
from secondorder.settings import DeclaredSettings, setting
from secondorder.training.objective import Objective


@dataclass(frozen=True)
class Settings(DeclaredSettings):
    """Settings of low-rank saddle-free Newton."""

    learning_rate: float = setting(0.1, "Length of a step in Newton directions; 1 is the full step.", above=0)
    damping: float = setting(0.1, "μ, added to every divisor, in the span and outside of it.", above=0)
    rank: int = setting(5, "Ritz pairs that are kept, those of the eigenvalues that are largest in size.", at_least=1)
    krylov_steps: int = setting(
        10,
        "Lanczos steps that find them, one product each; more than the rank bring the kept pairs nearer to eigenpairs.",
        at_least=1,
    )
    refresh: int = setting(10, "Steps from one search for the pairs to the next.", at_least=1)
    product: MethodName = setting(
        "r_operator", "Method of the Hessian-vector products; all give the same numbers up to their error."
    )
    curvature_samples: int = setting(
        0, "Products are over this many samples of the mini-batch, its last ones; 0 is all.", at_least=0
    )

    def check(self) -> None:
        """Refuse a rank that the Lanczos steps cannot give."""
        if self.rank > self.krylov_steps:
            raise ConfigurationError(
                f"rank is {self.rank} and krylov_steps {self.krylov_steps}, which finds no more pairs than that; make "
                "rank the smaller one"
            )


class LowRankNewton:
    """Low-rank saddle-free Newton over ``parameters``.

    Args:
        parameters: The parameters, all that the model trains.
        settings: The settings.
    """

    def __init__(self, parameters: Iterable[torch.nn.Parameter], settings: Settings) -> None:
        self._parameters = FlatParameters(parameters)
        self._settings = settings
        self._eigenbasis = KeptEigenbasis(
            self._parameters,
            partial(leading, count=settings.rank),
            product=settings.product,
            samples=settings.curvature_samples,
            krylov_steps=settings.krylov_steps,
            refresh=settings.refresh,
            start="gradient",
        )

    def step(self, objective: Objective, schedule_factor: float) -> StepResult:
        """Take one step; see the protocol."""
        self._parameters.check(objective)
        settings = self._settings
        loss, gradient = self._eigenbasis.loss_and_gradient(objective)
        basis = self._eigenbasis.basis
        direction = low_rank_direction(basis, gradient, settings.damping)
        self._eigenbasis.count(objective, 3 * len(basis.values))
        self._parameters.move(settings.learning_rate * schedule_factor * direction)
        return StepResult(loss, self._eigenbasis.diagnostics())

    def state_dict(self) -> dict[str, Any]:
        """Return the eigenpairs and their age."""
        return self._eigenbasis.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over a state."""
        self._eigenbasis.load_state_dict(state)


def build(parameters: Iterable[torch.nn.Parameter], settings: Settings) -> LowRankNewton:
    """Return low-rank saddle-free Newton over ``parameters``, of which those without a gradient are left alone."""
    return LowRankNewton(parameters, settings)
