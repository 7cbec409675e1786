"""Intermittent curvature: steps of one optimizer, and every few steps one of another.

Any two optimizers will do; the pair that is meant takes cheap first-order steps and, now and then, a second-order one.
Source: the idea is that of curvature used intermittently, as in the hybrids that surveys of second-order optimization
name; the rule, a fixed period, and the defaults are this project's own. docs/methods.md, section "Hybrids".
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import torch

from secondorder import optim
from secondorder.errors import ConfigurationError
from secondorder.optim.protocol import Optimizer, StepResult
from secondorder.settings import DeclaredSettings, setting, settings_from
from secondorder.settings_text import values_from_text
from secondorder.training.objective import Objective


@dataclass(frozen=True)
class Settings(DeclaredSettings):
    """Settings of intermittent curvature."""

    frequent: str = setting("sgd", "Optimizer of most steps, by its module.")
    rare: str = setting("newton_krylov", "Optimizer of every `every`-th step, by its module.")
    every: int = setting(10, "Period k: the k-th step, the 2k-th and so on are the rare optimizer's.", at_least=1)
    learning_rate: float = setting(0.01, "`learning_rate` of the frequent optimizer.", above=0)
    damping: float = setting(0.1, "`damping` μ of the rare optimizer, which must have one.", at_least=0)
    frequent_settings: str = setting(
        "momentum=0.9", "Further settings of the frequent optimizer, as text: `name=value, …`."
    )
    rare_settings: str = setting("", "Further settings of the rare optimizer, likewise.")

    def check(self) -> None:
        """Refuse optimizers that do not exist, and settings that are none of theirs."""
        uses(self)


class Intermittent:
    """Two optimizers over the same parameters, in turns.

    Each keeps its own state, and sees only the mini-batches of its own steps.

    Args:
        frequent: The optimizer of most steps.
        rare: The optimizer of every k-th step.
        every: k.
    """

    def __init__(self, frequent: Optimizer, rare: Optimizer, every: int) -> None:
        self._frequent = frequent
        self._rare = rare
        self._every = every
        self._steps = 0

    def step(self, objective: Objective, schedule_factor: float) -> StepResult:
        """Take one step of the optimizer whose turn it is; see the protocol."""
        self._steps += 1
        chosen = self._frequent if self._steps % self._every else self._rare
        return chosen.step(objective, schedule_factor)

    def state_dict(self) -> dict[str, Any]:
        """Return both states, and the number of steps taken."""
        return {"frequent": self._frequent.state_dict(), "rare": self._rare.state_dict(), "steps": self._steps}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over a state."""
        self._frequent.load_state_dict(state["frequent"])
        self._rare.load_state_dict(state["rare"])
        self._steps = state["steps"]


def uses(settings: Settings) -> list[tuple[str, Any]]:
    """Return the names and the settings of the frequent and the rare optimizer.

    Raises:
        ConfigurationError: An optimizer does not exist, or a setting is none of its own, out of bounds or given twice.
    """
    frequent = _settings(settings.frequent, settings.frequent_settings, learning_rate=settings.learning_rate)
    rare = _settings(settings.rare, settings.rare_settings, damping=settings.damping)
    return [(settings.frequent, frequent), (settings.rare, rare)]


def kinds_of_steps(settings: Settings) -> list[Settings]:
    """Return settings with which the first step is the frequent optimizer's, and the rare one's."""
    return [replace(settings, every=every) for every in (2, 1)]


def _settings(name: str, text: str, **given: float) -> Any:
    declared = optim.load(name).Settings
    further = values_from_text(declared, text)
    for own in given:
        if own in further:
            raise ConfigurationError(f"{own} of {name} is a setting of its own here; take it out of {text!r}")
    return settings_from(declared, {**further, **given})


def build(parameters: Iterable[torch.nn.Parameter], settings: Settings) -> Intermittent:
    """Return intermittent curvature over ``parameters``."""
    trained = list(parameters)
    frequent, rare = (optim.load(name).build(trained, chosen) for name, chosen in uses(settings))
    return Intermittent(frequent, rare, settings.every)
