"""From a checked configuration to the search of each tuned run."""

import dataclasses
from typing import Any, get_type_hints

from secondorder import optim
from secondorder.configuration.explanation import unknown_name
from secondorder.configuration.models import Configuration, RangeSection, RunSection
from secondorder.configuration.resolution import resolve_settings, run_specification, runs_of
from secondorder.errors import ConfigurationError
from secondorder.tuning.search import Range, Search, draw_trials


def searched_runs(configuration: Configuration, problem: str) -> list[str]:
    """Return the names of the runs that are tuned on a problem, in the order of :func:`runs_of`.

    Under a condition there are none, unless its problem asks for them.
    """
    base = configuration.base_problems.get(problem)
    if base is not None and not configuration.problems[base].tune_conditions:
        return []
    return [run for run in runs_of(configuration, problem) if configuration.all_runs[run].search]


def search_of(configuration: Configuration, problem: str, run: str) -> Search:
    """Return the search of one run on one problem, which settings that were chosen earlier have no part in.

    Raises:
        ConfigurationError: There is no such problem, it does not train the run, or the run is not tuned.
    """
    untuned = configuration.model_copy(update={"tuned": {}})
    specification = run_specification(untuned, problem, run)
    ranges = ranges_of(configuration.all_runs[run])
    if not ranges:
        tuned = [name for name, section in configuration.all_runs.items() if section.search]
        raise unknown_name(f"runs.{run}.search", "search of the run", run, tuned)
    fixed = {name: value for name, value in specification.optimizer_settings.items() if name not in ranges}
    search = Search(
        specification=dataclasses.replace(
            specification,
            optimizer_settings=fixed,
            seeds=(configuration.tuning.training_seed,),
            evaluate_test=False,
            snapshots=(),
        ),
        ranges=ranges,
        trials=draw_trials(ranges, configuration.tuning.trials, configuration.tuning.seed),
    )
    declared = optim.load(specification.optimizer).Settings
    for trial in search.specifications():
        resolve_settings(declared, trial.optimizer_settings, ["runs", run, "search"])
    return search


def check_transfer(configuration: Configuration) -> None:
    """Check that problems are not told to take tuned settings from nowhere.

    Raises:
        ConfigurationError: In one line, the key, what was given and what is missing.
    """
    tuning = configuration.tuning
    if tuning.transfer_problems and tuning.transfer is None:
        raise ConfigurationError(
            f"tuning.transfer_problems: given for {', '.join(tuning.transfer_problems)}, and no tier to take settings "
            "from; name it with tuning.transfer"
        )


def check_searches(configuration: Configuration) -> None:
    """Check that every searched setting is a number whose range fits it, and that results have seeds of their own.

    Raises:
        ConfigurationError: In one line, the key, what was given and what is allowed.
    """
    seed = configuration.tuning.training_seed
    if seed in configuration.seed_list:
        raise ConfigurationError(
            f"tuning.training_seed: given {seed}, one of `seeds`; give another, so that what is chosen with it is "
            "measured on fresh ones"
        )
    for run, section in configuration.all_runs.items():
        declared = optim.load(section.optimizer).Settings
        for name, given in section.search.items():
            check_range(declared, section.settings, ["runs", run, "search"], name, given)


def check_range(declared: type[Any], settings: dict[str, Any], key: list[str], name: str, given: RangeSection) -> None:
    """Check that a setting is a number, and that the ends of its range fit it.

    Args:
        declared: The ``Settings`` that have it.
        settings: The values of others.
        key: Where the ranges stand in the configuration.
        name: The setting.
        given: Its range.

    Raises:
        ConfigurationError: There is no such setting, it is no number, or the range is none or does not fit.
    """
    where = ".".join([*key, name])
    kind = get_type_hints(declared).get(name, float)
    if kind not in {int, float}:
        raise ConfigurationError(f"{where}: is no number, and only numbers are searched; take it out of `search`")
    check_ends(key, name, given)
    for end in (given.low, given.high):
        value = int(end) if kind is int and end.is_integer() else end
        resolve_settings(declared, {**settings, name: value}, key)


def check_ends(key: list[str], name: str, given: RangeSection) -> None:
    """Check that a range is one.

    Args:
        key: Where the ranges stand in the configuration.
        name: The setting.
        given: Its range.

    Raises:
        ConfigurationError: Its ends are in the wrong order, or not on its scale.
    """
    where = ".".join([*key, name])
    if given.low >= given.high:
        raise ConfigurationError(f"{where}: low is {given.low:g} and high {given.high:g}; give a low below high")
    if given.scale == "log" and given.low <= 0:
        raise ConfigurationError(f"{where}: low is {given.low:g}; a log scale needs one above 0, or give scale: linear")


def ranges_of(run: RunSection) -> dict[str, Range]:
    """Return what a run searches, by setting."""
    hints = get_type_hints(optim.load(run.optimizer).Settings)
    return {
        name: Range(given.low, given.high, given.scale, whole=hints[name] is int) for name, given in run.search.items()
    }
