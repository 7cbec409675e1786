"""Tuned settings lie over their tier's file and under everything that is laid over it, and never reach the trials."""

import json
from pathlib import Path

import pytest
import yaml

from secondorder.configuration.loading import load_configuration
from secondorder.configuration.models import Configuration
from secondorder.configuration.resolution import run_specification
from secondorder.configuration.searching import search_of, searched_runs
from secondorder.errors import ConfigurationError

CONFIG = Path(__file__).resolve().parents[2] / "config"
SETTINGS = {"learning_rate": 0.123}


def tuned(tier, **by_run):
    """What a tuned file holds for one problem."""
    search = {"learning_rate": {"low": 0.001, "high": 1.0, "scale": "log"}}
    entries = {
        run: {"settings": values, "tier": tier, "trials": 16, "search": search} for run, values in by_run.items()
    }
    return {"tuned": {"mnist_mlp": entries}}


@pytest.fixture
def folder(tmp_path):
    """The project's tiers, without what is tuned in them, and a tier based on the smoke tier."""
    for path in CONFIG.glob("*.yaml"):
        (tmp_path / path.name).write_text(path.read_text(encoding="utf-8"), encoding="utf-8")
    (tmp_path / "tuned").mkdir()
    (tmp_path / "child.yaml").write_text("{tier: child, based_on: smoke}", encoding="utf-8")
    return tmp_path


def tune(folder, tier, **by_run):
    (folder / "tuned" / f"{tier}.yaml").write_text(yaml.safe_dump(tuned(tier, **by_run)), encoding="utf-8")


def rate(folder, run="sgd", problem="mnist_mlp", **overrides):
    """The learning rate that a run ends up with."""
    configuration = load_configuration(overrides, folder)
    return run_specification(configuration, problem, run).optimizer_settings["learning_rate"]


def test_tuned_settings_replace_the_defaults_on_their_problem_alone(folder):
    before = rate(folder, problem="mnist_lenet5")
    tune(folder, "smoke", sgd=SETTINGS)
    assert rate(folder) == 0.123
    assert rate(folder, problem="mnist_lenet5") == before
    assert rate(folder, run="adam") != 0.123


def test_tuned_settings_replace_the_overrides_of_the_tier_file(folder):
    (folder / "own.yaml").write_text(
        "{tier: own, based_on: smoke, problems: {mnist_mlp: {overrides: {sgd: {settings: {learning_rate: 0.5}}}}}}",
        encoding="utf-8",
    )
    assert rate(folder, tier="own") == 0.5
    tune(folder, "own", sgd=SETTINGS)
    assert rate(folder, tier="own") == 0.123


def test_other_settings_of_the_run_stay(folder):
    tune(folder, "smoke", nesterov=SETTINGS)
    settings = run_specification(load_configuration({}, folder), "mnist_mlp", "nesterov").optimizer_settings
    assert (settings["momentum"], settings["learning_rate"]) == (0.9, 0.123)


@pytest.mark.parametrize(
    "overrides",
    [
        pytest.param({"tier": "child"}, id="based on it in a file"),
        pytest.param({"tier": "mine", "based_on": "smoke"}, id="based on it in a call"),
        pytest.param({"tier": "mine", "based_on": "child"}, id="based on one that is based on it"),
    ],
)
def test_tier_that_is_based_on_a_tuned_one_takes_its_values(folder, overrides):
    tune(folder, "smoke", sgd=SETTINGS)
    assert rate(folder, **overrides) == 0.123


def test_tier_that_is_not_based_on_it_does_not(folder):
    tune(folder, "smoke", sgd=SETTINGS)
    assert rate(folder, tier="reduced", tuning={"transfer": None}) != 0.123


@pytest.mark.parametrize("overrides", [{"tier": "child"}, {"tier": "child", "based_on": "smoke"}], ids=str)
def test_own_tuning_replaces_that_of_the_tier_below_as_a_whole(folder, overrides):
    tune(folder, "smoke", sgd={"learning_rate": 0.1, "momentum": 0.5}, adam=SETTINGS)
    tune(folder, "child", sgd={"learning_rate": 0.2})
    configuration = load_configuration(overrides, folder)
    entries = configuration.tuned["mnist_mlp"]
    assert entries["sgd"].settings == {"learning_rate": 0.2}
    assert (entries["sgd"].tier, entries["adam"].tier) == ("child", "smoke")


REPLACING = {
    "the run": {"runs": {"sgd": {"settings": {"learning_rate": 0.7}}}},
    "the run on the problem": {"problems": {"mnist_mlp": {"overrides": {"sgd": {"settings": {"learning_rate": 0.7}}}}}},
}


@pytest.mark.parametrize("layer", REPLACING.values(), ids=REPLACING.keys())
@pytest.mark.parametrize("where", ["call", "file"])
def test_setting_that_is_given_above_goes_before_the_tuned_one(folder, layer, where):
    tune(folder, "smoke", sgd=SETTINGS, adam=SETTINGS)
    overrides = layer
    if where == "file":
        (folder / "child.yaml").write_text(yaml.safe_dump({"tier": "child", "based_on": "smoke", **layer}))
        overrides = {"tier": "child"}
    configuration = load_configuration(overrides, folder)
    assert rate(folder, **overrides) == 0.7
    assert "sgd" not in configuration.tuned["mnist_mlp"], "and it does not count as tuned any more"
    assert rate(folder, run="adam", **overrides) == 0.123


def test_other_settings_that_are_given_above_leave_the_tuned_one(folder):
    tune(folder, "smoke", sgd=SETTINGS)
    overrides = {"runs": {"sgd": {"label": "S", "settings": {"momentum": 0.3}}}}
    settings = run_specification(load_configuration(overrides, folder), "mnist_mlp", "sgd").optimizer_settings
    assert (settings["learning_rate"], settings["momentum"]) == (0.123, 0.3)


def test_another_optimizer_under_the_name_of_a_run_is_not_tuned(folder):
    tune(folder, "smoke", sgd=SETTINGS)
    assert rate(folder, runs={"sgd": {"optimizer": "adam", "settings": None}}) == 0.001
    assert rate(folder, runs={"sgd": {"optimizer": "sgd"}}) == 0.123


def test_null_takes_all_of_it_away(folder):
    before = rate(folder)
    tune(folder, "smoke", sgd=SETTINGS)
    assert rate(folder, tuned=None) == before
    assert load_configuration({"tuned": None}, folder).tuned == {}


# Nothing else that names the run may stand in the way.
UNNAMED = {"problems": {"mnist_mlp": {"condition_runs": None}}}


@pytest.mark.parametrize(
    "overrides",
    [
        pytest.param({"runs": {"sgd": None}, **UNNAMED}, id="run"),
        pytest.param({"problems": {"mnist_mlp": None}}, id="problem"),
        pytest.param({"problems": {"mnist_mlp": {"runs": ["adam"]}}}, id="run on the problem"),
    ],
)
def test_tuned_run_that_is_taken_away_is_no_error(folder, overrides):
    tune(folder, "smoke", sgd=SETTINGS, never_heard_of={"depth": 3})
    configuration = load_configuration({"curvature": {"runs": None}, **overrides}, folder)
    assert Configuration.model_validate(json.loads(configuration.model_dump_json())) == configuration


BAD = {
    "setting of no optimizer": (
        tuned("smoke", sgd={"learning_rat": 0.1}),
        "tuned.mnist_mlp.sgd.settings.learning_rat: unknown key, did you mean 'learning_rate'?",
    ),
    "impossible value": (
        tuned("smoke", sgd={"learning_rate": -1.0}),
        "tuned.mnist_mlp.sgd.settings.learning_rate: given -1.0; should be greater than 0",
    ),
    "other keys": ({**tuned("smoke"), "seeds": 3}, "seeds: unknown key; known here: tuned"),
    "no mapping": ({"tuned": 3}, "tuned: given 3; should be a valid mapping"),
    "unknown key": ({"tuned": {"mnist_mlp": {"sgd": {"setings": {}}}}}, "did you mean 'settings'?"),
}


@pytest.mark.parametrize(("content", "words"), BAD.values(), ids=BAD.keys())
def test_bad_file_is_explained_in_one_line(folder, content, words):
    (folder / "tuned" / "smoke.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    with pytest.raises(ConfigurationError) as caught:
        load_configuration({}, folder)
    message = str(caught.value)
    assert words in message or "is missing" in message
    assert len(message.splitlines()) == 1


@pytest.mark.parametrize("tuned_value", [3, {"mnist_mlp": 3}, {"mnist_mlp": {"sgd": 3}}, {"mnist_mlp": {"sgd": {}}}])
def test_bad_value_in_a_call_is_explained_in_one_line(folder, tuned_value):
    tune(folder, "smoke", sgd=SETTINGS)
    for overrides in ({"tuned": tuned_value}, {"tier": "child"}):
        (folder / "child.yaml").write_text(yaml.safe_dump({"tier": "child", "based_on": "smoke", "tuned": tuned_value}))
        if tuned_value == {"mnist_mlp": {"sgd": {}}}:
            load_configuration(overrides, folder)
            continue
        with pytest.raises(ConfigurationError, match=r"^tuned"):
            load_configuration(overrides, folder)


@pytest.mark.parametrize("tier", ["smoke", "reduced", "paper"])
def test_every_search_of_every_tier_has_the_same_number_of_trials(tier):
    configuration = load_configuration({"tier": tier}, CONFIG)
    for problem in configuration.problems:
        searches = [search_of(configuration, problem, run) for run in searched_runs(configuration, problem)]
        assert searches
        assert {len(search.trials) for search in searches} == {configuration.tuning.trials}


def test_trials_are_the_same_whatever_was_tuned(folder):
    before = search_of(load_configuration({}, folder), "mnist_mlp", "sgd")
    tune(folder, "smoke", sgd={"learning_rate": 0.123, "momentum": 0.5})
    assert search_of(load_configuration({}, folder), "mnist_mlp", "sgd") == before


def test_trials_are_the_same_whatever_the_searched_setting_was(folder):
    before = search_of(load_configuration({}, folder), "mnist_mlp", "sgd")
    changed = load_configuration({"runs": {"sgd": {"settings": {"learning_rate": 0.7}}}}, folder)
    assert search_of(changed, "mnist_mlp", "sgd") == before


def test_trial_is_the_run_with_a_seed_of_its_own_and_without_the_test_split(folder):
    configuration = load_configuration({"tuning": {"trials": 3}}, folder)
    run = run_specification(configuration, "mnist_mlp", "nesterov")
    for trial in search_of(configuration, "mnist_mlp", "nesterov").specifications():
        assert trial.seeds == (1_000_000,)
        assert trial.snapshots == ()
        assert trial.evaluate_test is False
        assert trial.optimizer_settings.keys() == run.optimizer_settings.keys()
        same = ("problem", "dataset", "optimizer", "batch_size", "unit_batch_size", "budget_epochs", "schedule")
        assert [getattr(trial, name) for name in same] == [getattr(run, name) for name in same]


def test_configured_value_is_no_extra_trial(folder):
    configuration = load_configuration({}, folder)
    values = [trial["learning_rate"] for trial in search_of(configuration, "mnist_mlp", "adam").trials]
    assert len(values) == configuration.tuning.trials
    assert configuration.runs["adam"].settings["learning_rate"] not in values


def test_run_without_a_search_is_not_tuned(folder):
    configuration = load_configuration({"runs": {"sgd": {"search": None}}}, folder)
    assert "sgd" not in searched_runs(configuration, "mnist_mlp")
    with pytest.raises(ConfigurationError, match=r"^runs\.sgd\.search: there is no search of the run 'sgd'"):
        search_of(configuration, "mnist_mlp", "sgd")


def test_whole_numbers_are_searched_as_such(folder):
    search = {"learning_rate": None, "history": {"low": 1, "high": 50}}
    configuration = load_configuration({"runs": {"lbfgs": {"search": search}}}, folder)
    for trial in search_of(configuration, "mnist_mlp", "lbfgs").specifications():
        assert isinstance(trial.optimizer_settings["history"], int)
        assert trial.optimizer_settings["learning_rate"] == 1.0
