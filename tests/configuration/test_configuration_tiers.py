"""Every tier's file loads, and every run of it resolves to a specification that a training job can take."""

import json
from pathlib import Path

import pytest

from secondorder import optim, problems
from secondorder.configuration.contexts import context_of
from secondorder.configuration.loading import load_configuration
from secondorder.configuration.models import Configuration
from secondorder.configuration.resolution import (
    dataset_of,
    datasets_of,
    module_of,
    run_specification,
    runs_of,
)
from secondorder.errors import ConfigurationError
from secondorder.settings import settings_from
from secondorder.training.schedules import Schedule
from secondorder.training.specification import RunSpecification

CONFIG = Path(__file__).resolve().parents[2] / "config"
UNREGULARIZED = {"penalty": 0.0, "decoupled_decay": 0.0, "dropout": 0.0}
# The tier archive has no runs of its own; tests/archive looks at it.
TIERS = sorted(path.stem for path in CONFIG.glob("*.yaml") if path.stem not in {"defaults", "archive"})
RUNS = [
    pytest.param(tier, problem, run, id=f"{tier}-{problem}-{run}")
    for tier in TIERS
    for configuration in [load_configuration({"tier": tier}, CONFIG)]
    for problem in configuration.problems
    for run in runs_of(configuration, problem)
]


def loaded(**overrides):
    return load_configuration(overrides, CONFIG)


def test_there_are_the_documented_tiers():
    assert TIERS == ["paper", "reduced", "smoke"]


@pytest.mark.parametrize("tier", TIERS)
def test_tier_file_names_its_own_tier(tier):
    assert loaded(tier=tier).tier == tier


def test_default_tier_is_smoke():
    assert loaded() == loaded(tier="smoke")


@pytest.mark.parametrize("tier", TIERS)
def test_configuration_survives_json(tier):
    """The report's job gets it so."""
    configuration = loaded(tier=tier)
    assert Configuration.model_validate(json.loads(configuration.model_dump_json())) == configuration


@pytest.mark.parametrize(("tier", "problem", "run"), RUNS)
def test_specification_survives_json(tier, problem, run):
    """Snakemake hands it to the training job so."""
    specification = run_specification(loaded(tier=tier), problem, run)
    plain = json.loads(json.dumps(specification.to_mapping(), allow_nan=False))
    assert RunSpecification.from_mapping(plain) == specification


@pytest.mark.parametrize(("tier", "problem", "run"), RUNS)
def test_specification_is_what_the_modules_take(tier, problem, run):
    specification = run_specification(loaded(tier=tier), problem, run)
    optimizer, module = optim.load(specification.optimizer), problems.load(specification.problem_module)
    resolved = settings_from(optimizer.Settings, specification.optimizer_settings)
    assert vars(resolved) == dict(specification.optimizer_settings), "every setting is written out"
    module.build(settings_from(module.Settings, specification.problem_settings))
    Schedule(**specification.schedule)
    assert specification.dataset in module.DATASETS


def small(**section):
    """A problem whose values these tests know, whatever the tiers' files say."""
    values = {
        "module": "mnist_mlp",
        "dataset": "mnist_5k",
        "batch_size": 32,
        "budget_epochs": 4,
        "target_metric": 0.9,
    }
    return {**values, **section}


def test_what_is_not_given_resolves_to_defaults():
    configuration = loaded(seeds=2, runs={"plain": {"optimizer": "sgd"}}, problems={"small": small()})
    assert run_specification(configuration, "small", "plain").to_mapping() == {
        "problem": "small",
        "problem_module": "mnist_mlp",
        "problem_settings": {**UNREGULARIZED, "activation": "relu", "hidden": "128-64"},
        "dataset": "mnist_5k",
        "run": "plain",
        "optimizer": "sgd",
        "optimizer_settings": {"learning_rate": 0.1, "momentum": 0.0, "nesterov": False, "weight_decay": 0.0},
        "batch_size": 32,
        "unit_batch_size": 32,
        "budget_epochs": 4.0,
        "schedule": {"kind": "constant", "milestones": [0.5, 0.75], "gamma": 0.1},
        "training_samples": 1000,
        "evaluate_test": True,
        "seeds": [0, 1],
        "threads": 1,
        "device": "auto",
        "log_every": 1,
        "snapshots": [0.0, 0.1, 0.5, 1.0],
    }


def test_run_keeps_its_own_batch_size_and_pays_in_those_of_the_problem():
    configuration = loaded(runs={"large": {"optimizer": "sgd", "batch_size": 500}}, problems={"small": small()})
    specification = run_specification(configuration, "small", "large")
    assert (specification.batch_size, specification.unit_batch_size) == (500, 32)


def test_override_replaces_single_settings_and_the_whole_schedule_on_its_problem_alone():
    momentum = {"learning_rate": 0.25, "momentum": 0.75, "nesterov": True}
    override = {"batch_size": 64, "settings": {"momentum": 0.5}, "schedule": {"kind": "cosine"}}
    configuration = loaded(
        runs={"mine": {"optimizer": "sgd", "settings": momentum, "schedule": {"kind": "step", "gamma": 0.5}}},
        problems={"overridden": small(overrides={"mine": override}), "other": small()},
    )
    overridden = run_specification(configuration, "overridden", "mine")
    assert overridden.batch_size == 64
    assert overridden.optimizer_settings == {**momentum, "momentum": 0.5, "weight_decay": 0.0}
    assert overridden.schedule == {"kind": "cosine", "milestones": [0.5, 0.75], "gamma": 0.1}
    other = run_specification(configuration, "other", "mine")
    assert other.batch_size == 32
    assert other.optimizer_settings == {**momentum, "weight_decay": 0.0}
    assert other.schedule == {"kind": "step", "milestones": [0.5, 0.75], "gamma": 0.5}


@pytest.mark.parametrize(("seeds", "listed"), [(1, [0]), (3, [0, 1, 2]), ([7], [7]), ([5, 0, 2], [5, 0, 2])], ids=str)
def test_seeds_are_a_count_or_a_list(seeds, listed):
    configuration = loaded(seeds=seeds)
    assert configuration.seed_list == listed
    assert run_specification(configuration, "mnist_mlp", "sgd").seeds == tuple(listed)


def test_problem_trains_every_run_in_the_order_of_the_runs():
    configuration = loaded(problems={"mnist_mlp": {"studies": None}})
    assert runs_of(configuration, "mnist_mlp") == list(configuration.runs)
    assert list(configuration.runs)[:2] == ["sgd", "nesterov"]


def test_problem_may_choose_runs_and_keeps_their_order():
    configuration = loaded(problems={"mnist_mlp": {"runs": ["adam", "sgd"]}, "mnist_mlp_narrow": {"studies": None}})
    assert runs_of(configuration, "mnist_mlp") == ["sgd", "adam"]
    assert runs_of(configuration, "mnist_mlp_narrow") == list(configuration.runs)


def test_problem_may_leave_runs_out():
    configuration = loaded(problems={"mnist_mlp": {"without": ["adam"], "studies": None}})
    assert runs_of(configuration, "mnist_mlp") == [run for run in configuration.runs if run != "adam"]
    with pytest.raises(ConfigurationError, match=r"problems\.mnist_mlp\.runs: there is no run 'adam'"):
        run_specification(configuration, "mnist_mlp", "adam")


@pytest.mark.parametrize(
    ("below", "above", "expected"),
    [
        pytest.param({"without": ["sgd"]}, {"runs": ["sgd"]}, ["sgd"], id="runs over without"),
        pytest.param({"runs": ["sgd"]}, {"without": ["sgd"]}, ["adam"], id="without over runs"),
        pytest.param({"without": ["sgd"]}, {"without": ["adam"]}, ["sgd"], id="without over without"),
        pytest.param({"without": ["sgd"]}, {"runs": None}, ["adam"], id="no runs over without"),
        pytest.param({"without": ["sgd"]}, {"without": None}, ["sgd", "adam"], id="taken away"),
    ],
)
def test_later_choice_of_runs_replaces_an_earlier_one(tmp_path, below, above, expected):
    problem = {"dataset": "mnist_5k", "batch_size": 8, "budget_epochs": 1, "target_metric": 0.5, **below}
    runs = {"sgd": {"optimizer": "sgd"}, "adam": {"optimizer": "adam"}}
    (tmp_path / "defaults.yaml").write_text(json.dumps({"seeds": 1, "runs": runs}), encoding="utf-8")
    (tmp_path / "one.yaml").write_text(
        json.dumps({"tier": "one", "problems": {"mnist_mlp": problem}}), encoding="utf-8"
    )
    configuration = load_configuration({"tier": "one", "problems": {"mnist_mlp": above}}, tmp_path)
    assert runs_of(configuration, "mnist_mlp") == expected


def test_run_that_is_left_out_can_be_taken_away(tmp_path):
    for name in ("defaults", "smoke"):
        (tmp_path / f"{name}.yaml").write_text((CONFIG / f"{name}.yaml").read_text(encoding="utf-8"), encoding="utf-8")
    (tmp_path / "one.yaml").write_text(
        "{tier: one, based_on: smoke, problems: {mnist_lenet5: {without: [lbfgs, adam]}}}", encoding="utf-8"
    )
    configuration = load_configuration({"tier": "one", "runs": {"lbfgs": None}}, tmp_path)
    assert configuration.problems["mnist_lenet5"].without == ["adam"]


def test_two_problems_may_share_a_module():
    configuration = loaded(
        problems={
            "tanh": {
                "module": "mnist_mlp",
                "batch_size": 32,
                "budget_epochs": 1,
                "target_metric": 0.5,
                "settings": {"activation": "tanh"},
            }
        }
    )
    assert module_of(configuration, "tanh") == "mnist_mlp"
    assert dataset_of(configuration, "tanh") == "mnist", "the first that the module lists"
    assert datasets_of(configuration) == ["mnist", "mnist_5k"]
    settings = {name: run_specification(configuration, name, "sgd").problem_settings for name in ("tanh", "mnist_mlp")}
    assert settings["tanh"] == {**UNREGULARIZED, "activation": "tanh", "hidden": "128-64"}
    assert settings["mnist_mlp"] == {**UNREGULARIZED, "activation": "relu", "hidden": "128-64"}


def test_label_falls_back_to_the_name():
    configuration = loaded(runs={"plain": {"optimizer": "sgd"}})
    labels = context_of(configuration).labels
    assert (labels["plain"], labels["sgd"]) == ("plain", "SGD")


@pytest.mark.parametrize(
    ("problem", "run", "message"),
    [
        ("mnist_mpl", "sgd", "problems: there is no problem 'mnist_mpl', did you mean 'mnist_mlp'?"),
        ("mnist_mlp", "adm", "problems.mnist_mlp.runs: there is no run 'adm', did you mean 'adam'?"),
    ],
)
def test_asking_for_what_is_not_configured_is_an_error(problem, run, message):
    with pytest.raises(ConfigurationError) as caught:
        run_specification(loaded(), problem, run)
    assert str(caught.value).startswith(message)
