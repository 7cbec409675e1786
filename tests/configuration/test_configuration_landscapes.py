"""What the configuration says of analytic functions and of the runs that go over them."""

from functools import cache
from inspect import signature
from pathlib import Path

import pytest

from secondorder.configuration.landscapes import contestants_of, functions_of
from secondorder.configuration.loading import load_configuration
from secondorder.configuration.models import LandscapesSection
from secondorder.configuration.resolution import probed_specifications, problems_with, runs_of
from secondorder.errors import ConfigurationError
from secondorder.landscapes.functions import KINDS
from secondorder.landscapes.names import ARGUMENTS

CONFIG = Path(__file__).resolve().parents[2] / "config"


def loaded(**overrides):
    return load_configuration(overrides, CONFIG)


@cache
def smoke():
    return loaded()


def changed(**landscapes):
    """Return the tier with other landscapes, without the time that reading it again takes."""
    given = smoke().landscapes.model_dump() | landscapes
    return smoke().model_copy(update={"landscapes": LandscapesSection.model_validate(given)})


def contestant(run, **landscapes):
    return next(given for given in contestants_of(changed(**landscapes)) if given["run"] == run)


def values(run, setting, **landscapes):
    return [trial[setting] for trial in contestant(run, **landscapes)["trials"]]


@pytest.mark.parametrize("tier", ["smoke", "reduced", "paper"])
def test_every_tier_goes_over_every_kind_of_function_with_every_run(tier):
    configuration = loaded(tier=tier)
    functions = functions_of(configuration)
    assert {kind for kind, _ in functions.values()} == set(KINDS)
    for kind, arguments in functions.values():
        KINDS[kind](**arguments)
    assert [given["run"] for given in contestants_of(configuration)] == list(configuration.runs)


def test_runs_that_search_have_the_same_number_of_trials():
    given = contestants_of(changed(trials=5))
    assert {len(run["trials"]) for run in given} == {5}


def test_run_that_searches_nothing_has_one_trial():
    without_search = smoke().runs["adam"].model_copy(update={"search": {}})
    configuration = smoke().model_copy(update={"runs": {"adam": without_search}})
    (adam,) = contestants_of(configuration)
    assert [trial["learning_rate"] for trial in adam["trials"]] == [0.001]


def test_arguments_are_those_of_the_functions():
    assert {kind: tuple(signature(made).parameters) for kind, made in KINDS.items()} == ARGUMENTS


def test_learning_rates_are_searched_over_ranges_times_the_factor():
    once = values("adam", "learning_rate", learning_rate_factor=1.0)
    assert values("adam", "learning_rate", learning_rate_factor=10.0) == pytest.approx([10 * v for v in once], rel=0.01)


def test_range_of_a_setting_replaces_that_of_every_run_that_searches_it():
    search = {"damping": {"low": 2.0, "high": 3.0}}
    for run in ("exact_layerwise", "newton_krylov"):
        assert all(2 <= value <= 3 for value in values(run, "damping", search=search))


def test_what_a_run_changes_for_itself_is_not_searched_and_its_ranges_are_taken_as_they_are():
    change = {"settings": {"epsilon": 0.5}, "search": {"learning_rate": {"low": 0.2, "high": 0.3}}}
    configuration = loaded(runs={"adahessian": {"landscape": change}}, landscapes={"learning_rate_factor": 10.0})
    (found,) = [given["trials"] for given in contestants_of(configuration) if given["run"] == "adahessian"]
    assert all(0.2 <= trial["learning_rate"] <= 0.3 for trial in found)
    assert {trial["epsilon"] for trial in found} == {0.5}


def test_settings_that_were_tuned_on_networks_have_no_part():
    assert smoke().tuned
    assert contestants_of(smoke()) == contestants_of(smoke().model_copy(update={"tuned": {}}))


def test_no_functions_no_tables():
    configuration = changed(functions={})
    assert problems_with(configuration, "trajectories") == []
    assert problems_with(configuration, "capabilities") == list(configuration.problems)


def test_capabilities_are_probed_of_every_run_that_is_in_no_study():
    configuration = smoke()
    assert "exact_per_sample" not in runs_of(configuration, "mnist_lenet5")
    assert [s.run for s in probed_specifications(configuration, "mnist_lenet5")] == list(configuration.runs)


@pytest.mark.parametrize(
    ("landscapes", "line"),
    [
        pytest.param(
            {"functions": {"bowl": {"kind": "quadratic", "condition": 10.0}}},
            "landscapes.functions.bowl: given condition; kind 'quadratic' takes condition, dimension, no more and",
            id="an argument is missing",
        ),
        pytest.param(
            {"functions": {"rosenbrock": {"distance": 1.0}}},
            "landscapes.functions.rosenbrock: given distance; kind 'rosenbrock' takes nothing, no more and no less",
            id="an argument too many",
        ),
        pytest.param(
            {"functions": {"bowl": {"kind": "bowl"}}},
            "landscapes.functions.bowl.kind: given 'bowl'; should be 'quadratic', 'rosenbrock' or 'strict_saddle'",
            id="no such kind",
        ),
        pytest.param(
            {"runs": ["sdg"]}, "landscapes.runs: there is no run 'sdg', did you mean 'sgd'?", id="no such run"
        ),
        pytest.param(
            {"search": {"damping": {"low": 1.0, "high": 0.1}}},
            "landscapes.search.damping: low is 1 and high 0.1; give a low below high",
            id="an empty range",
        ),
        pytest.param(
            {"search": {"dampin": {"low": 0.1, "high": 1.0}}},
            "landscapes.search: there is no setting 'dampin', did you mean 'damping'?",
            id="a range of no setting",
        ),
        pytest.param(
            {"search": {"damping": {"low": -1.0, "high": 1.0, "scale": "linear"}}},
            "landscapes.search.damping: given -1.0; should be greater than",
            id="a range that a run's setting cannot have",
        ),
    ],
)
def test_what_is_wrong_is_said_in_one_line(landscapes, line):
    with pytest.raises(ConfigurationError) as caught:
        loaded(landscapes=landscapes)
    assert str(caught.value).startswith(line)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("landscape", "line"),
    [
        pytest.param(
            {"search": {"learning_rat": {"low": 0.1, "high": 1.0}}},
            "runs.adam.landscape.search.learning_rat: unknown key, did you mean 'learning_rate'?",
            id="a range of no setting",
        ),
        pytest.param(
            {"search": {"learning_rate": {"low": 1.0, "high": 0.1}}},
            "runs.adam.landscape.search.learning_rate: low is 1 and high 0.1; give a low below high",
            id="an empty range",
        ),
        pytest.param(
            {"settings": {"learning_rat": 0.1}},
            "runs.adam.landscape.settings.learning_rat: unknown key, did you mean 'learning_rate'?",
            id="a value of no setting",
        ),
    ],
)
def test_what_a_run_changes_for_itself_is_checked(landscape, line):
    with pytest.raises(ConfigurationError) as caught:
        loaded(runs={"adam": {"landscape": landscape}})
    assert str(caught.value).startswith(line)
