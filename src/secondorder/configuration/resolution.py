"""From a checked configuration to the specification of each run."""

import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ValidationError

from secondorder import optim, plotting, problems, tables
from secondorder.claims.names import OF_CLAIMS
from secondorder.configuration.declared import settings_model
from secondorder.configuration.explanation import explain, unknown_name
from secondorder.configuration.models import (
    Configuration,
    FigureSection,
    FullHessianSection,
    TableSection,
    condition_problem,
)
from secondorder.data.datasets import DATASETS
from secondorder.errors import ConfigurationError
from secondorder.landscapes.names import OF_LANDSCAPES
from secondorder.metric import MetricDescription
from secondorder.statistics.names import AGGREGATED, OF_OPTIMIZER
from secondorder.training.specification import RunSpecification
from secondorder.validation.names import CURVATURE, OF_FULL_HESSIAN, OF_METHOD, OF_PROBLEM, PROBED

MEASURED = (*AGGREGATED, *CURVATURE, *OF_LANDSCAPES, *PROBED)
"""Tables of results, which a figure, a table or a claim can read."""

READABLE = (*MEASURED, *OF_CLAIMS)
"""Tables that a figure or a table can read: those of results, and what the judging of claims leaves."""


def runs_of(configuration: Configuration, problem: str) -> list[str]:
    """Return the names of the runs that are trained on a problem, in the order of the configuration.

    They are the problem's own choice of ``runs``, and then those of its studies.
    """
    section = configuration.all_problems[problem]
    variants = [run for study in studies_of(configuration, problem) for run in configuration.studies[study].runs]
    return _main_runs_of(configuration, problem) + [run for run in variants if run not in section.without]


def studies_of(configuration: Configuration, problem: str) -> list[str]:
    """Return the studies that are made on a problem: those it lists, if it trains the run that they vary."""
    trained = _main_runs_of(configuration, problem)
    listed = configuration.all_problems[problem].studies
    return [name for name, study in configuration.studies.items() if name in listed and study.varies in trained]


def _main_runs_of(configuration: Configuration, problem: str) -> list[str]:
    section = configuration.all_problems[problem]
    chosen = configuration.runs if section.runs is None else section.runs
    return [run for run in configuration.runs if run in chosen and run not in section.without]


def conditions_of(configuration: Configuration, problem: str) -> list[str]:
    """Return a problem and the problems that its conditions make of it; nothing where it has none."""
    made = configuration.condition_problems(problem).values()
    return [problem, *made] if made else []


def condition_references(configuration: Configuration) -> dict[str, dict[str, str]]:
    """Return, by problem that has conditions, each of its conditions with the one that it is compared with.

    The problem itself is one of its conditions; the one that the others are compared with has no entry.
    """
    references = {}
    for problem, section in configuration.problems.items():
        made = configuration.condition_problems(problem)
        reference = made.get(section.condition_reference or "", problem)
        if made:
            references[problem] = {each: reference for each in (problem, *made.values()) if each != reference}
    return references


def module_of(configuration: Configuration, problem: str) -> str:
    """Return the module under ``secondorder.problems`` of a configured problem."""
    return configuration.all_problems[problem].module or problem


def dataset_of(configuration: Configuration, problem: str) -> str:
    """Return the dataset of a configured problem."""
    section = configuration.all_problems[problem]
    default: str = problems.load(module_of(configuration, problem)).DATASETS[0]
    return section.dataset or default


def metric_of(configuration: Configuration, problem: str) -> MetricDescription:
    """Return what a configured problem's networks are judged by.

    Raises:
        ConfigurationError: The problem's settings are impossible.
    """
    module = problems.load(module_of(configuration, problem))
    settings = module.Settings(**_problem_settings(configuration, problem))
    metric: MetricDescription = module.build(settings).metric
    return metric


def datasets_of(configuration: Configuration) -> list[str]:
    """Return the datasets that the tier needs."""
    of_problems = {dataset_of(configuration, problem) for problem in configuration.problems}
    section = configuration.curvature
    read = reads_of(configuration) & set(OF_METHOD)
    of_curvature = {section.full_hessian.dataset if table in OF_FULL_HESSIAN else section.dataset for table in read}
    return sorted(of_problems | of_curvature)


def problems_of(configuration: Configuration, section: FigureSection | TableSection) -> list[str]:
    """Return the problems whose runs a figure or a table of all problems shows.

    They are all problems, or those with conditions and their conditions; none where it shows the method alone.
    """
    if set(section.reads) <= set(OF_METHOD):
        return []
    if not section.of_conditions:
        return list(configuration.problems)
    return [name for problem in configuration.problems for name in conditions_of(configuration, problem)]


def reads_of(configuration: Configuration) -> set[str]:
    """Return the tables that figures and tables of the tier read."""
    of_figures = {name for section in configuration.figures.values() for name in section.reads}
    return of_figures | {name for section in configuration.tables.values() for name in section.reads}


def absence(configuration: Configuration, table: str, shown: Collection[str]) -> str:
    """Return why the tier has no such table of results for a claim to read; nothing where it has one.

    Claims make no measurement of their own: what neither a figure nor a table of the tier shows is not made for them.

    Args:
        configuration: The configuration.
        table: The table's name.
        shown: The tables that the figures and tables of the tier read.
    """
    if table not in AGGREGATED and table not in shown:
        return f"no figure and no table of tier {configuration.tier} reads {table}, so that it is not made"
    return "" if problems_with(configuration, table) else f"no problem of tier {configuration.tier} has a table {table}"


def followed_runs(configuration: Configuration, problem: str) -> list[str]:
    """Return the runs on a problem whose curvature is followed along training."""
    chosen = configuration.curvature.runs
    return [run for run in runs_of(configuration, problem) if chosen is None or run in chosen]


def problems_with(configuration: Configuration, table: str) -> list[str]:
    """Return the problems that there is a table of: all of them, but for three kinds of tables.

    Those of one optimizer need a run of it that belongs to no study. Those of the curvature stage need snapshots and
    that the problem asks for them, and all but ``sharpness`` a run to follow. Where no analytic functions are
    configured, there are no tables of paths on them.
    """
    if table in OF_LANDSCAPES and not configuration.landscapes.functions:
        return []
    if table in OF_OPTIMIZER:
        return [
            problem
            for problem in configuration.problems
            if any(
                configuration.runs[run].optimizer == OF_OPTIMIZER[table]
                for run in _main_runs_of(configuration, problem)
            )
        ]
    if table not in OF_PROBLEM:
        return list(configuration.problems)
    return [
        problem
        for problem, section in configuration.problems.items()
        if configuration.snapshots
        and OF_PROBLEM[table] in section.curvature
        and (table == "sharpness" or followed_runs(configuration, problem))
    ]


def run_specification(configuration: Configuration, problem: str, run: str) -> RunSpecification:
    """Return everything the training of one run on one problem has to know.

    Raises:
        ConfigurationError: There is no such problem, or it does not train the run.
    """
    if problem not in configuration.all_problems:
        raise unknown_name("problems", "problem", problem, configuration.all_problems)
    if run not in runs_of(configuration, problem):
        raise unknown_name(f"problems.{problem}.runs", "run", run, runs_of(configuration, problem))
    return _specification(configuration, problem, run)


def probed_specifications(configuration: Configuration, problem: str) -> list[RunSpecification]:
    """Return what the training of every run of no study would have to know, of those the problem leaves out too."""
    return [_specification(configuration, problem, run) for run in configuration.runs]


def _specification(configuration: Configuration, problem: str, run: str) -> RunSpecification:
    section = configuration.all_problems[problem]
    chosen = configuration.all_runs[run]
    override = section.overrides.get(run)
    schedule = (override.schedule if override else None) or chosen.schedule
    module = module_of(configuration, problem)
    return RunSpecification(
        problem=problem,
        problem_module=module,
        problem_settings=_problem_settings(configuration, problem),
        dataset=dataset_of(configuration, problem),
        run=run,
        optimizer=chosen.optimizer,
        optimizer_settings=_optimizer_settings(configuration, problem, run),
        batch_size=(override.batch_size if override else None) or chosen.batch_size or section.batch_size,
        unit_batch_size=section.batch_size,
        budget_epochs=section.budget_epochs,
        schedule=schedule.model_dump(),
        training_samples=configuration.training_samples,
        seeds=tuple(configuration.seed_list),
        threads=configuration.threads,
        device=configuration.device,
        log_every=configuration.log_every,
        snapshots=tuple(configuration.snapshots),
    )


def check_names_and_settings(configuration: Configuration) -> None:
    """Check what a model alone cannot: that every name exists, every setting fits, and every batch can be filled.

    Raises:
        ConfigurationError: In one line, the key, what was given and what is allowed.
    """
    _check_studies(configuration)
    for run, chosen in configuration.all_runs.items():
        if chosen.optimizer not in optim.available():
            raise unknown_name(f"runs.{run}.optimizer", "optimizer", chosen.optimizer, optim.available())
        resolve_settings(optim.load(chosen.optimizer).Settings, chosen.settings, ["runs", run, "settings"])
    reference = configuration.statistics.reference
    if "reference" in configuration.statistics.model_fields_set and reference not in configuration.runs:
        raise unknown_name("statistics.reference", "run", reference, configuration.runs)
    _check_renderings("figure", configuration.figures, plotting.available())
    _check_renderings("table", configuration.tables, tables.available())
    for problem in configuration.problems:
        _check_problem(configuration, problem)
    for problem in configuration.problems:
        _check_conditions(configuration, problem)
    _check_curvature(configuration)


def _check_studies(configuration: Configuration) -> None:
    named = set(configuration.runs)
    for name, study in configuration.studies.items():
        if study.varies not in configuration.runs:
            raise unknown_name(f"studies.{name}.varies", "run", study.varies, configuration.runs)
        for run in study.runs:
            if run in named:
                raise ConfigurationError(f"studies.{name}.runs.{run}: there is such a run already; choose another name")
            named.add(run)


def _check_conditions(configuration: Configuration, problem: str) -> None:
    section, key = configuration.problems[problem], f"problems.{problem}"
    for run in section.condition_runs or []:
        if run not in configuration.runs:
            raise unknown_name(f"{key}.condition_runs", "run", run, configuration.runs)
    reference = section.condition_reference
    if reference is not None and reference not in section.conditions:
        raise unknown_name(f"{key}.condition_reference", "condition", reference, section.conditions)
    declared = problems.load(module_of(configuration, problem)).Settings
    for condition, changed in section.conditions.items():
        if (name := condition_problem(problem, condition)) in configuration.problems:
            raise ConfigurationError(
                f"{key}.conditions.{condition}: makes the problem {name!r}, which there is already; choose another name"
            )
        resolve_settings(
            declared,
            {**section.settings, **changed.settings},
            ["problems", problem, "conditions", condition, "settings"],
        )


def _check_approximations(configuration: Configuration) -> None:
    section = configuration.curvature.approximations
    for problem in problems_with(configuration, "approximations"):
        dataset = dataset_of(configuration, problem)
        images = DATASETS[dataset].train_size
        for key, given in (
            ("batches", section.batches * section.batch_size),
            ("control_samples", section.control_samples),
        ):
            if given > images:
                raise ConfigurationError(
                    f"curvature.approximations.{key}: takes {given} images; {dataset} of {problem} has {images} "
                    "training images; give less"
                )


def _check_curvature(configuration: Configuration) -> None:
    section = configuration.curvature
    last = configuration.snapshots[-1] if configuration.snapshots else 1
    for asked in ("sharpness", "approximations"):
        if last < 1 and any(asked in problem.curvature for problem in configuration.problems.values()):
            raise ConfigurationError(
                f"snapshots: the last is at {last:g} of the budget, and {asked} are shown at its end; add 1, or take "
                f"{asked} out of the problems' curvature"
            )
    if section.dataset not in DATASETS:
        raise unknown_name("curvature.dataset", "dataset", section.dataset, DATASETS)
    for run in section.runs or []:
        if run not in configuration.all_runs:
            raise unknown_name("curvature.runs", "run", run, configuration.all_runs)
    _check_approximations(configuration)
    images = DATASETS[section.dataset].train_size
    for key, given in (
        ("exact_hessian.samples", section.exact_hessian.samples),
        ("products.batch_sizes", section.products.batch_sizes),
    ):
        if max(given) > images:
            raise ConfigurationError(
                f"curvature.{key}: given {max(given)}; {section.dataset} has {images} training images; give smaller "
                "batches"
            )
    _check_full_hessian(section.full_hessian)


def _check_full_hessian(section: FullHessianSection) -> None:
    definition = DATASETS[section.dataset]
    images = definition.train_size + definition.validation_size
    if section.images > images:
        raise ConfigurationError(
            f"curvature.full_hessian.images: given {section.images}; {section.dataset} has {images} images outside "
            "the test split; give fewer"
        )
    if section.batch_size > section.images:
        raise ConfigurationError(
            f"curvature.full_hessian.batch_size: given {section.batch_size}; there are {section.images} images; give a "
            "smaller batch"
        )


def _check_renderings(
    kind: str, sections: Mapping[str, FigureSection] | Mapping[str, TableSection], known: Sequence[str]
) -> None:
    for name, section in sections.items():
        if name not in known:
            raise unknown_name(f"{kind}s.{name}", kind, name, known)
        for table in section.reads:
            if table not in READABLE:
                raise unknown_name(f"{kind}s.{name}.reads", "aggregated table", table, READABLE)


def _check_problem(configuration: Configuration, problem: str) -> None:
    section = configuration.all_problems[problem]
    module = module_of(configuration, problem)
    if module not in problems.available():
        raise unknown_name(f"problems.{problem}", "problem", module, problems.available())
    offered = problems.load(module).DATASETS
    if dataset_of(configuration, problem) not in offered:
        raise unknown_name(f"problems.{problem}.dataset", "dataset for it called", str(section.dataset), offered)
    for key, named, known in (
        ("runs", section.runs or [], configuration.runs),
        ("without", section.without, configuration.all_runs),
        ("overrides", section.overrides, configuration.all_runs),
    ):
        for run in named:
            if run not in known:
                raise unknown_name(f"problems.{problem}.{key}", "run", run, known)
    for study in section.studies:
        if study not in configuration.studies:
            raise unknown_name(f"problems.{problem}.studies", "study", study, configuration.studies)
    if section.runs is not None and section.without:
        raise ConfigurationError(
            f"problems.{problem}.without: stands beside `runs`; take one of the two away with null"
        )
    if not runs_of(configuration, problem):
        raise ConfigurationError(f"problems.{problem}.without: names all runs; leave at least one")
    for run in section.overrides:
        _optimizer_settings(configuration, problem, run)
    metric = metric_of(configuration, problem)
    if not metric.is_target(section.target_metric):
        bounds = f"above {metric.low:g}" if metric.high is None else f"between {metric.low:g} and {metric.high:g}"
        raise ConfigurationError(
            f"problems.{problem}.target_metric: given {section.target_metric:g}; the problem's metric is its "
            f"{metric.label}; give a value {bounds}"
        )
    images = DATASETS[dataset_of(configuration, problem)].train_size
    for run in runs_of(configuration, problem):
        specification = run_specification(configuration, problem, run)
        largest = max(specification.batch_size, specification.unit_batch_size)
        if largest > images:
            raise ConfigurationError(
                f"problems.{problem}: run {run!r} has batches of {largest}; {specification.dataset} has {images} "
                "training images; give a smaller batch_size"
            )


def _problem_settings(configuration: Configuration, problem: str) -> dict[str, Any]:
    """Return all settings of a problem's module."""
    declared = problems.load(module_of(configuration, problem)).Settings
    return resolve_settings(declared, configuration.all_problems[problem].settings, ["problems", problem, "settings"])


def _optimizer_settings(configuration: Configuration, problem: str, run: str) -> dict[str, Any]:
    """Return all settings of a run's optimizer, with what the problem overrides."""
    chosen, override = configuration.all_runs[run], configuration.all_problems[problem].overrides.get(run)
    declared = optim.load(chosen.optimizer).Settings
    values, key = chosen.settings, ["runs", run, "settings"]
    if override is not None:
        values, key = {**values, **override.settings}, ["problems", problem, "overrides", run, "settings"]
    resolved = resolve_settings(declared, values, key)
    tuned = configuration.tuned_for(problem, run)
    if tuned is None:
        return resolved
    return resolve_settings(declared, {**values, **tuned.settings}, ["tuned", problem, run, "settings"])


def resolve_settings(declared: type[Any], values: Mapping[str, Any], key: Sequence[str]) -> dict[str, Any]:
    """Return all settings that a ``Settings`` dataclass declares, with ``values`` in place of the defaults.

    Args:
        declared: The dataclass.
        values: Settings by name.
        key: Where they stand in the configuration.

    Raises:
        ConfigurationError: A setting is unknown, has the wrong type or an impossible value.
    """
    model: type[BaseModel] = settings_model(declared)  # type: ignore[arg-type]  # of a class, whose hash mypy does not see
    try:
        resolved = model.model_validate(values).model_dump()
    except ValidationError as error:
        raise explain(error, model, key) from None
    try:
        declared(**resolved)
    except ConfigurationError as error:
        raise ConfigurationError(f"{'.'.join(key)}: {error}") from None
    plain: dict[str, Any] = json.loads(json.dumps(resolved))
    return plain
