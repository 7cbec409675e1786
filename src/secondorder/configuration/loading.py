"""From files and overrides to a checked configuration."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from secondorder.archive.layout import KEPT_FOLDER
from secondorder.configuration.archived import archived_values
from secondorder.configuration.explanation import explain, unknown_name
from secondorder.configuration.landscapes import check_landscapes
from secondorder.configuration.models import Configuration, TunedFile, condition_problem
from secondorder.configuration.resolution import check_names_and_settings
from secondorder.configuration.searching import check_searches, check_transfer
from secondorder.configuration.verification import check_verification
from secondorder.errors import ConfigurationError
from secondorder.training.device import resolve_device

DEFAULT_TIER = "smoke"
DEFAULTS_FILE = "defaults.yaml"
TUNED_FOLDER = "tuned"
# Of the two safe loaders the one in C, where PyYAML was built with it, is ten times as fast.
_Loader: type[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def load_configuration(overrides: Mapping[str, Any], folder: Path) -> Configuration:
    """Return the checked configuration: ``defaults.yaml``, then the tier's file, then ``overrides``.

    Later values replace earlier ones key by key; null takes a key away, back to its default. Over the file of each tier
    lie the settings that were tuned in it, ``tuned/<tier>.yaml``, where there are any, and otherwise those of the tier
    that its ``tuning.transfer`` names; where it states ``transfer_problems`` alone, these are taken from the tier that
    is inherited. What lies over those and gives a setting, for the run or for the run on the problem, goes before the
    tuned one.

    A tier with a section ``archive`` has the configuration that the metrics were made with that it shows.

    Args:
        overrides: What the user gives; its ``based_on`` or else its ``tier`` (``smoke`` when absent) names the tier's
            file, which may itself be based on another.
        folder: The folder that holds ``defaults.yaml`` and ``<tier>.yaml``.

    Raises:
        ConfigurationError: In one line, the key, what was given, what is allowed, and the nearest known key.
        ResultError: Kept metrics are asked for and a file of them is not what was kept.
    """
    if not folder.is_dir():
        raise ConfigurationError(f"there is no folder {folder} of tiers; run in the project's folder, or name it")
    key = "based_on" if overrides.get("based_on") else "tier"
    name = overrides.get(key) or DEFAULT_TIER
    tiers: dict[Any, dict[str, Any]] = {}
    while name:
        tier = _read_tier(folder, key, name)
        if name in tiers:
            raise ConfigurationError(f"based_on: {name!r} is in the end based on itself; take one based_on out")
        tiers[name] = tier
        key, name = "based_on", tier.get("based_on")
    given: dict[str, Any] = {}
    for layer in (*reversed(tiers.values()), overrides):
        given = merge(given, layer)
    if "archive" in given:
        return check_configuration(archived_values(given, folder.parent / KEPT_FOLDER))
    merged = read_yaml(folder / DEFAULTS_FILE)
    inherited: dict[str, Any] = {}
    of_call = _at(overrides, "tuning")
    for tier_name, layer in reversed(tiers.items()):
        merged = _laid_over(merged, layer)
        asked = _at(layer, "tuning")
        merged = _with_tuned(merged, folder, tier_name, {**asked, **of_call}, inherited)
        inherited = merge(inherited, asked)
    if (named := overrides.get("tier")) not in list(tiers):
        merged = _with_tuned(merged, folder, named, of_call, inherited)
    return check_configuration(_laid_over(merged, overrides))


def _with_tuned(
    values: Mapping[str, Any], folder: Path, tier: Any, asked: Mapping[Any, Any], inherited: Mapping[Any, Any]
) -> dict[str, Any]:
    """Return the configuration with what was tuned in a tier, or what it takes from another, each run's as a whole.

    Args:
        values: The configuration.
        folder: The folder of tiers.
        tier: The tier.
        asked: The section ``tuning`` of the tier itself. Where it names no other tier but problems to take, these alone
            are taken, from the tier that is inherited.
        inherited: The section of the tiers below.
    """
    tuned_in = sorted((folder / TUNED_FOLDER).glob("*.yaml"))
    path = folder / TUNED_FOLDER / f"{tier}.yaml"
    if path in tuned_in:
        return _with_tuned_problems(values, _read_tuned(path))
    stated = _mapping(asked.get("transfer_problems"))
    source = asked["transfer"] if "transfer" in asked else stated and inherited.get("transfer")
    if not source:
        return dict(values)
    path = folder / TUNED_FOLDER / f"{source}.yaml"
    if path not in tuned_in:
        raise unknown_name("tuning.transfer", "tuned tier", str(source), [known.stem for known in tuned_in])
    tuned = _read_tuned(path)
    if "transfer" in asked:
        stated = {**_mapping(inherited.get("transfer_problems")), **stated}
    taken: dict[Any, Any] = dict(tuned) if "transfer" in asked else {}
    for problem, other in stated.items():
        if str(other) not in tuned:
            raise unknown_name(f"tuning.transfer_problems.{problem}", "tuned problem", str(other), tuned)
        taken[problem] = {run: {**section, "problem": other} for run, section in tuned[other].items()}
    return _with_tuned_problems(values, taken)


def _read_tuned(path: Path) -> dict[str, Any]:
    """Return the settings in a file of tuned settings, by problem and run."""
    read = read_yaml(path)
    try:
        TunedFile.model_validate(read)
    except ValidationError as error:
        raise ConfigurationError(f"{path}: {explain(error, TunedFile)}") from None
    tuned: dict[str, Any] = read["tuned"]
    return tuned


def _with_tuned_problems(values: Mapping[str, Any], taken: Mapping[Any, Any]) -> dict[str, Any]:
    tuned = dict(_mapping(values.get("tuned")))
    for problem, runs in taken.items():
        tuned[problem] = {**_mapping(tuned.get(problem)), **runs}
    return {**values, "tuned": tuned}


def _laid_over(values: Mapping[str, Any], layer: Mapping[str, Any]) -> dict[str, Any]:
    """Return the configuration with a layer over it, less what the layer replaces by other keys than its own."""
    tuned = {
        problem: {run: kept for run in runs if (kept := _not_replaced(values, layer, problem, run)) is not None}
        for problem, runs in _mapping(values.get("tuned")).items()
        if isinstance(runs, Mapping)
    }
    problems = {
        problem: _with_one_choice(section, layer, problem)
        for problem, section in _mapping(values.get("problems")).items()
        if isinstance(section, Mapping)
    }
    below = dict(values)
    for key, sections in (("tuned", tuned), ("problems", problems)):
        if sections:
            below[key] = {**values[key], **sections}
    return merge(below, layer)


def _with_one_choice(section: Mapping[Any, Any], layer: Mapping[str, Any], problem: Any) -> dict[Any, Any]:
    """Return a problem's section, less a choice of runs that the layer makes anew, and runs that it takes away."""
    chosen, kept = _at(layer, "problems", problem), dict(section)
    for key, other in (("runs", "without"), ("without", "runs")):
        if chosen.get(key) is not None:
            kept.pop(other, None)
    if isinstance(kept.get("without"), list):
        removed = [run for run, value in _at(layer, "runs").items() if value is None]
        kept["without"] = [run for run in kept["without"] if run not in removed]
    return kept


def _not_replaced(values: Mapping[str, Any], layer: Mapping[str, Any], problem: Any, run: Any) -> Any:
    """Return what was tuned for a run on a problem, less what the layer replaces; None when nothing is left of it."""
    tuned = values["tuned"][problem][run]
    if not isinstance(tuned, Mapping) or not isinstance(tuned.get("settings"), Mapping):
        return tuned
    section = _at(layer, "runs", run)
    overridden = _at(layer, "problems", _varied_problem(values, problem), "overrides", run, "settings")
    given = {*_at(section, "settings"), *overridden}
    for study in _at(layer, "studies"):
        given |= {*_at(layer, "studies", study, "runs", run, "settings")}
    settings = {name: value for name, value in tuned["settings"].items() if name not in given}
    optimizer = _at(values, "runs", run).get("optimizer")
    if not settings or section.get("optimizer", optimizer) != optimizer:
        return None
    return {**tuned, "settings": settings}


def _varied_problem(values: Mapping[str, Any], problem: Any) -> Any:
    """Return the problem that a problem of a condition varies, and any other problem itself."""
    for base in _at(values, "problems"):
        if any(problem == condition_problem(base, name) for name in _at(values, "problems", base, "conditions")):
            return base
    return problem


def _at(values: Any, *keys: Any) -> Mapping[Any, Any]:
    """Return the mapping below these keys, an empty one where there is none."""
    for key in keys:
        values = _mapping(values).get(key)
    return _mapping(values)


def _mapping(value: Any) -> Mapping[Any, Any]:
    return value if isinstance(value, Mapping) else {}


def _read_tier(folder: Path, key: str, tier: Any) -> dict[str, Any]:
    tiers = sorted(path.stem for path in folder.glob("*.yaml") if path.name != DEFAULTS_FILE)
    if tier not in tiers:
        raise unknown_name(key, f"configuration file {folder.name}/<tier>.yaml for", str(tier), tiers)
    return read_yaml(folder / f"{tier}.yaml")


def check_machine(configuration: Configuration) -> None:
    """Check what a configuration asks of this machine; nothing, where it shows what other machines measured.

    Raises:
        ConfigurationError: There is no such folder of data, or no CUDA device.
    """
    if configuration.archive is not None:
        return
    folder = configuration.data.folder
    if folder is not None and not Path(folder).is_dir():
        raise ConfigurationError(f"data.folder: there is no folder {folder!r}; correct the path or make the folder")
    try:
        resolve_device(configuration.device)
    except ConfigurationError as error:
        raise ConfigurationError(f"device: {error}") from None


def typed_overrides(given: Mapping[str, Any], files: Mapping[str, Any]) -> dict[str, Any]:
    """Return overrides with the types that their texts have in YAML, where no file gave them.

    Snakemake hands values below the top level of ``--config`` over as text, such as ``'0.9'``. What stands in a
    configuration file has its type already, and a number in quotes there is a mistake that has to show.

    Args:
        given: What Snakemake merged from files and command line.
        files: What the files alone hold.
    """
    typed: dict[str, Any] = {}
    for key, value in given.items():
        below = files.get(key)
        if isinstance(value, Mapping):
            typed[key] = typed_overrides(value, below if isinstance(below, Mapping) else {})
        elif isinstance(value, list) and value != below:
            typed[key] = [_typed(item) for item in value]
        else:
            typed[key] = value if value == below else _typed(value)
    return typed


def _typed(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return yaml.load(value, _Loader)  # noqa: S506  # it is one of the safe ones
    except (yaml.YAMLError, ValueError):
        return value


def check_configuration(values: Mapping[str, Any]) -> Configuration:
    """Return the configuration in ``values``, checked alone and against the optimizers and problems there are.

    Raises:
        ConfigurationError: See :func:`load_configuration`.
    """
    try:
        configuration = Configuration.model_validate(dict(values))
    except ValidationError as error:
        raise explain(error, Configuration) from None
    check_names_and_settings(configuration)
    check_transfer(configuration)
    check_searches(configuration)
    check_landscapes(configuration)
    check_verification(configuration)
    return configuration


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML mapping.

    Raises:
        ConfigurationError: The file cannot be read, is no YAML, or holds no mapping.
    """
    try:
        values = yaml.load(path.read_text(encoding="utf-8"), _Loader)  # noqa: S506  # it is one of the safe ones
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be read: {error.strerror}") from None
    except (yaml.YAMLError, ValueError) as error:
        raise ConfigurationError(f"{path}: is not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(values, dict):
        raise ConfigurationError(f"{path}: holds {type(values).__name__}, not keys with values")
    return values


def merge(base: Mapping[str, Any], overlay: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``base`` with the values of ``overlay`` in place, mappings merged key by key; None takes a key away."""
    merged = dict(base)
    for key, value in overlay.items():
        if value is None:
            merged.pop(key, None)
        elif isinstance(value, Mapping):
            below = merged.get(key)
            merged[key] = merge(below if isinstance(below, Mapping) else {}, value)
        else:
            merged[key] = value
    return merged
