"""FOSI: Newton along the extreme eigenvectors of the Hessian, and a first-order optimizer across them.

Source: Sivan, Gabel & Schuster 2023 ("FOSI: Hybrid first and second order optimization"): every few steps Lanczos,
from a random start, finds the eigenpairs at the ends of the spectrum; Newton with |λ| acts in their span, and a base
optimizer in its orthogonal complement, to which its gradient and its update are projected. The defaults are this
project's own, and so is the damping; docs/methods.md, section "Hybrids".
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal

import torch

from secondorder import optim
from secondorder.curvature.eigenbasis import extreme
from secondorder.curvature.hessian_vector_products import MethodName
from secondorder.errors import ConfigurationError
from secondorder.newton.low_rank import newton_inside
from secondorder.optim.flat_parameters import FlatParameters
from secondorder.optim.kept_eigenbasis import KeptEigenbasis
from secondorder.optim.protocol import StepResult
from secondorder.optim.torch_adapter import TorchOptimizer
from secondorder.settings import DeclaredSettings, setting
from secondorder.training.objective import Objective

Base = Literal["adam", "sgd"]

_MOMENTUM = {"adam": "beta1", "sgd": "momentum"}


@dataclass(frozen=True)
class Settings(DeclaredSettings):
    """Settings of FOSI."""

    base: Base = setting("adam", "Optimizer of the complement: `adam`, or `sgd` with heavy-ball momentum.")
    learning_rate: float = setting(1e-3, "Step size of the base optimizer.", above=0)
    momentum: float = setting(0.9, "Momentum m of `sgd`, or β₁ of `adam`.", at_least=0, below=1)
    newton_learning_rate: float = setting(0.1, "Length of the Newton step in the span; 1 is the full step.", above=0)
    damping: float = setting(0.0, "μ, added to the sizes of eigenvalues that Newton divides by.", at_least=0)
    largest: int = setting(5, "Eigenpairs at the upper end of the spectrum.", at_least=0)
    smallest: int = setting(0, "Eigenpairs at the lower end of the spectrum.", at_least=0)
    krylov_steps: int = setting(
        20,
        "Lanczos steps that find them, one product each; four times as many bring them nearer to eigenpairs.",
        at_least=1,
    )
    refresh: int = setting(100, "Steps from one search for the pairs to the next.", at_least=1)
    warm_up: int = setting(
        100,
        "Steps of the base optimizer alone before the first search: the curvature at the start soon changes.",
        at_least=0,
    )
    product: MethodName = setting(
        "r_operator", "Method of the Hessian-vector products; all give the same numbers up to their error."
    )
    curvature_samples: int = setting(
        0, "Products are over this many samples of the mini-batch, its last ones; 0 is all.", at_least=0
    )

    def check(self) -> None:
        """Refuse more pairs than the Lanczos steps can give."""
        if self.largest + self.smallest > self.krylov_steps:
            raise ConfigurationError(
                f"largest is {self.largest}, smallest {self.smallest} and krylov_steps {self.krylov_steps}, which "
                "finds no more pairs than that; raise krylov_steps"
            )


class Fosi:
    """FOSI over ``parameters``.

    Args:
        parameters: The parameters, all that the model trains.
        base: The optimizer of the complement, over the same parameters.
        settings: The settings.
    """

    def __init__(self, parameters: Iterable[torch.nn.Parameter], base: TorchOptimizer, settings: Settings) -> None:
        self._parameters = FlatParameters(parameters)
        self._base = base
        self._settings = settings
        self._steps = 0
        self._eigenbasis = KeptEigenbasis(
            self._parameters,
            partial(extreme, largest=settings.largest, smallest=settings.smallest),
            product=settings.product,
            samples=settings.curvature_samples,
            krylov_steps=settings.krylov_steps,
            refresh=settings.refresh,
            start="random",
        )

    def step(self, objective: Objective, schedule_factor: float) -> StepResult:
        """Take one step; see the protocol."""
        self._parameters.check(objective)
        settings = self._settings
        self._steps += 1
        if self._steps <= settings.warm_up or not settings.largest + settings.smallest:
            return self._base.step(objective, schedule_factor)
        loss, gradient = self._eigenbasis.loss_and_gradient(objective)
        basis = self._eigenbasis.basis
        inside, outside = basis.split(gradient)
        newton = settings.newton_learning_rate * schedule_factor * newton_inside(basis, inside, settings.damping)
        start = self._parameters.vector()
        for parameter, piece in self._parameters.pieces(outside):
            parameter.grad = piece
        self._base.step_with_gradient(schedule_factor)
        # What Adam divides by, and the momentum of earlier eigenpairs, lead out of the complement.
        across = basis.split(self._parameters.vector() - start)[1]
        self._parameters.place(start + across + newton)
        self._eigenbasis.count(objective, 5 * len(basis.values))
        share = 1 - outside.square().sum() / gradient.square().sum().clamp(min=torch.finfo(gradient.dtype).tiny)
        return StepResult(loss, {**self._eigenbasis.diagnostics(), "gradient_in_span": share})

    def state_dict(self) -> dict[str, Any]:
        """Return the state of the base optimizer, the eigenpairs with their age, and the number of steps taken."""
        return {
            "base": self._base.state_dict(),
            "eigenbasis": self._eigenbasis.state_dict(),
            "steps": self._steps,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over a state."""
        self._base.load_state_dict(state["base"])
        self._eigenbasis.load_state_dict(state["eigenbasis"])
        self._steps = state["steps"]


def uses(settings: Settings) -> list[tuple[str, Any]]:
    """Return the name and the settings of the base optimizer."""
    chosen = {"learning_rate": settings.learning_rate, _MOMENTUM[settings.base]: settings.momentum}
    return [(settings.base, optim.load(settings.base).Settings(**chosen))]


def kinds_of_steps(settings: Settings) -> list[Settings]:
    """Return settings with which the first step already searches for eigenpairs."""
    return [replace(settings, warm_up=0)]


def build(parameters: Iterable[torch.nn.Parameter], settings: Settings) -> Fosi:
    """Return FOSI over ``parameters``, of which those without a gradient are left alone."""
    trained = FlatParameters(parameters)
    ((name, chosen),) = uses(settings)
    return Fosi(trained, optim.load(name).build(list(trained), chosen), settings)
