"""From a checked configuration to the trials of each run on the analytic functions."""

import math
from dataclasses import fields, replace
from typing import Any

from secondorder import optim
from secondorder.configuration.explanation import unknown_name
from secondorder.configuration.models import Configuration, varied
from secondorder.configuration.resolution import resolve_settings
from secondorder.configuration.searching import check_ends, check_range, ranges_of
from secondorder.errors import ConfigurationError
from secondorder.landscapes.names import ARGUMENTS
from secondorder.tuning.search import Range, draw_trials


def functions_of(configuration: Configuration) -> dict[str, tuple[str, dict[str, float]]]:
    """Return the kind and the arguments of every analytic function by name."""
    return {
        name: (section.kind, section.model_dump(exclude={"kind"}, exclude_none=True))
        for name, section in configuration.landscapes.functions.items()
    }


def check_landscapes(configuration: Configuration) -> None:
    """Check that every analytic function has its arguments, and that there are the runs to compare on them.

    Raises:
        ConfigurationError: In one line, the key, what was given and what is allowed.
    """
    section = configuration.landscapes
    for name, (kind, arguments) in functions_of(configuration).items():
        wanted = ARGUMENTS[kind]
        if set(arguments) != set(wanted):
            raise ConfigurationError(
                f"landscapes.functions.{name}: given {', '.join(arguments) or 'nothing'}; kind {kind!r} takes "
                f"{', '.join(wanted) or 'nothing'}, no more and no less"
            )
    for run in section.runs or []:
        if run not in configuration.runs:
            raise unknown_name("landscapes.runs", "run", run, configuration.runs)
    known = {field.name for name in optim.available() for field in fields(optim.load(name).Settings)}
    for name, given in section.search.items():
        if name not in known:
            raise unknown_name("landscapes.search", "setting", name, sorted(known))
        check_ends(["landscapes", "search"], name, given)
    for run in configuration.runs:
        change = configuration.runs[run].landscape
        chosen = varied(configuration.runs[run], change)
        declared = optim.load(chosen.optimizer).Settings
        resolve_settings(declared, chosen.settings, ["runs", run, "landscape", "settings"])
        for name, given in change.search.items():
            check_range(declared, chosen.settings, ["runs", run, "landscape", "search"], name, given)
        for name in section.search.keys() & (chosen.search.keys() - change.search.keys()):
            check_range(declared, chosen.settings, ["landscapes", "search"], name, section.search[name])


def contestants_of(configuration: Configuration) -> list[dict[str, Any]]:
    """Return the runs that go over the analytic functions, as fields of a ``Contestant``.

    Each searches what it searches on networks, but for what the section ``landscapes`` changes. Settings that were
    tuned on networks have no part in it, nor have learning-rate schedules and batch sizes.

    Raises:
        ConfigurationError: A range holds settings that an optimizer refuses.
    """
    section = configuration.landscapes
    contestants = []
    for run in configuration.runs if section.runs is None else section.runs:
        change = configuration.runs[run].landscape
        chosen = varied(configuration.runs[run], change)
        declared = optim.load(chosen.optimizer).Settings
        ranges = {
            name: searched if name in change.search else _without_noise(configuration, declared, name, searched)
            for name, searched in ranges_of(chosen).items()
        }
        trials = draw_trials(ranges, section.trials, configuration.tuning.seed) if ranges else ({},)
        key = ["runs", run, "landscape"]
        settings = [resolve_settings(declared, {**chosen.settings, **trial}, key) for trial in trials]
        contestants.append({"run": run, "optimizer": chosen.optimizer, "trials": settings})
    return contestants


def _without_noise(configuration: Configuration, declared: type[Any], name: str, searched: Range) -> Range:
    section = configuration.landscapes
    if name in section.search:
        given = section.search[name]
        return Range(given.low, given.high, given.scale, whole=searched.whole)
    if name != "learning_rate":
        return searched
    (bounds,) = [field.metadata["bounds"] for field in fields(declared) if field.name == name]
    highest = min(bounds.get("le", math.inf), bounds.get("lt", math.inf))
    factor = min(section.learning_rate_factor, highest / searched.high)
    return replace(searched, low=searched.low * factor, high=searched.high * factor)
