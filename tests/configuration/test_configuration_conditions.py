"""Conditions of a problem: variants with other settings, trained by some runs, with settings tuned on the problem."""

from pathlib import Path

import pytest

from secondorder.configuration.contexts import context_of
from secondorder.configuration.loading import load_configuration
from secondorder.configuration.resolution import conditions_of, problems_of, run_specification, runs_of
from secondorder.configuration.searching import searched_runs
from secondorder.errors import ConfigurationError
from secondorder.presentation import transfer_note

CONFIG = Path(__file__).resolve().parents[2] / "config"
CONDITIONS = {
    "smooth": {"label": "Smooth", "settings": {"activation": "tanh"}},
    "wide": {"settings": {"hidden": "300"}},
}
NAMES = ["mnist_mlp_smooth", "mnist_mlp_wide"]
CONFIGURED = load_configuration({}, CONFIG).problems["mnist_mlp"].conditions


def loaded(tuned=None, **section):
    conditions = {**dict.fromkeys(CONFIGURED), **CONDITIONS}
    problem = {"conditions": conditions, "condition_runs": ["sgd", "newton_krylov"], **section}
    return load_configuration({"problems": {"mnist_mlp": problem}, **(tuned or {})}, CONFIG)


def test_condition_is_the_problem_with_other_settings():
    configuration = loaded()
    base, smooth = (run_specification(configuration, name, "sgd").to_mapping() for name in ("mnist_mlp", NAMES[0]))
    settings = {**base["problem_settings"], "activation": "tanh"}
    assert smooth == {**base, "problem": NAMES[0], "problem_settings": settings}


def test_condition_belongs_to_all_problems_and_not_to_the_configured_ones():
    configuration = loaded()
    assert [name for name in configuration.all_problems if name not in configuration.problems] == NAMES
    assert conditions_of(configuration, "mnist_mlp") == ["mnist_mlp", *NAMES]
    assert conditions_of(configuration, "mnist_lenet5") == []


def test_only_what_is_of_conditions_shows_them():
    configuration = loaded()
    assert problems_of(configuration, configuration.tables["final_metric"]) == list(configuration.problems)
    assert problems_of(configuration, configuration.tables["regularization_ranks"]) == ["mnist_mlp", *NAMES]
    assert problems_of(configuration, configuration.tables["exact_hessian"]) == []


@pytest.mark.parametrize(
    ("section", "runs"),
    [
        pytest.param({}, ["sgd", "newton_krylov"], id="those that are named"),
        pytest.param({"without": ["newton_krylov"]}, ["sgd"], id="of those that the problem trains"),
        pytest.param({"runs": ["newton_krylov", "adam"]}, ["newton_krylov"], id="of those that the problem chooses"),
    ],
)
def test_runs_under_a_condition(section, runs):
    assert runs_of(loaded(**section), NAMES[0]) == runs


def test_problem_that_trains_no_run_of_its_conditions_has_none():
    assert conditions_of(loaded(runs=["adam"]), "mnist_mlp") == []


def test_settings_tuned_on_the_problem_are_taken_and_said_to_be():
    configuration = loaded()
    rates = [run_specification(configuration, name, "sgd").optimizer_settings for name in ("mnist_mlp", NAMES[0])]
    assert rates[0] == rates[1]
    assert searched_runs(configuration, NAMES[0]) == []
    context = context_of(configuration)
    assert transfer_note(context, ["mnist_mlp"]) == ""
    assert transfer_note(context, NAMES) == "Settings transferred from problem mnist_mlp."


def test_condition_can_be_tuned_for_itself():
    search = {"learning_rate": {"low": 0.001, "high": 1.0}}
    entry = {"settings": {"learning_rate": 0.123}, "tier": "smoke", "trials": 16, "search": search}
    configuration = loaded(tune_conditions=True, tuned={"tuned": {NAMES[0]: {"sgd": entry}}})
    assert searched_runs(configuration, NAMES[0]) == ["sgd", "newton_krylov"]
    assert run_specification(configuration, NAMES[0], "sgd").optimizer_settings["learning_rate"] == 0.123


def test_figures_are_told_labels_and_the_condition_to_compare_with():
    context = context_of(loaded(condition_label="As it is", condition_reference="wide"))
    labels = {"mnist_mlp": "As it is", NAMES[0]: "Smooth", NAMES[1]: "wide"}
    assert (context.conditions["mnist_mlp"], context.condition_references["mnist_mlp"]) == (labels, NAMES[1])


@pytest.mark.parametrize(
    ("section", "line"),
    [
        pytest.param(
            {"conditions": {"smooth": {"settings": {"activaton": "tanh"}}}},
            "problems.mnist_mlp.conditions.smooth.settings.activaton: unknown key, did you mean 'activation'?",
            id="setting",
        ),
        pytest.param(
            {"conditions": {"narrow": {}}},
            "problems.mnist_mlp.conditions.narrow: makes the problem 'mnist_mlp_narrow', which there is already",
            id="name",
        ),
        pytest.param(
            {"conditions": CONDITIONS, "condition_runs": ["sgdd"]},
            "problems.mnist_mlp.condition_runs: there is no run 'sgdd', did you mean 'sgd'?",
            id="run",
        ),
        pytest.param(
            {"conditions": CONDITIONS, "condition_reference": "smoth"},
            "problems.mnist_mlp.condition_reference: there is no condition 'smoth', did you mean 'smooth'?",
            id="reference",
        ),
    ],
)
def test_what_is_wrong_is_said_in_one_line(section, line):
    with pytest.raises(ConfigurationError) as caught:
        load_configuration({"problems": {"mnist_mlp": section}}, CONFIG)
    assert str(caught.value).startswith(line)
