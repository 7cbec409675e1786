"""A tier that is not tuned takes the settings that were tuned in another, and says so."""

from pathlib import Path

import pytest
import yaml

from secondorder.configuration.contexts import context_of
from secondorder.configuration.loading import load_configuration
from secondorder.configuration.resolution import run_specification
from secondorder.errors import ConfigurationError
from secondorder.presentation import transfer_note

CONFIG = Path(__file__).resolve().parents[2] / "config"
NOTE = "Settings transferred from tier smoke."


def tune(folder, tier, problem="mnist_mlp", learning_rate=0.123):
    search = {"learning_rate": {"low": 0.001, "high": 1.0, "scale": "log"}}
    entry = {"settings": {"learning_rate": learning_rate}, "tier": tier, "trials": 16, "search": search}
    text = yaml.safe_dump({"tuned": {problem: {"sgd": entry}}})
    (folder / "tuned" / f"{tier}.yaml").write_text(text, encoding="utf-8")


@pytest.fixture
def folder(tmp_path):
    """A tier that takes its settings from the smoke tier, in which SGD was tuned on one problem."""
    for path in CONFIG.glob("*.yaml"):
        (tmp_path / path.name).write_text(path.read_text(encoding="utf-8"), encoding="utf-8")
    large = {"tier": "large", "seeds": 2, "tuning": {"transfer": "smoke"}, "problems": {}}
    for name in ("mnist_mlp", "mnist_lenet5"):
        overrides = {"sgd": {"settings": {"learning_rate": 0.5}}}
        large["problems"][name] = {
            "batch_size": 128,
            "budget_epochs": 1,
            "target_metric": 0.9,
            "runs": ["sgd"],
            "overrides": overrides,
        }
    (tmp_path / "large.yaml").write_text(yaml.safe_dump(large), encoding="utf-8")
    (tmp_path / "tuned").mkdir()
    tune(tmp_path, "smoke")
    return tmp_path


def found(folder, problem="mnist_mlp", **overrides):
    """The learning rate that SGD ends up with, and what figures and tables of the problem say of it."""
    configuration = load_configuration({"tier": "large", **overrides}, folder)
    rate = run_specification(configuration, problem, "sgd").optimizer_settings["learning_rate"]
    return rate, transfer_note(context_of(configuration), [problem])


def test_settings_come_from_the_named_tier_before_those_of_the_tier_file(folder):
    assert found(folder) == (0.123, NOTE)


def test_problem_that_was_not_tuned_there_keeps_its_own(folder):
    assert found(folder, "mnist_lenet5") == (0.5, "")


def test_stated_problem_goes_before_the_one_of_the_same_name(folder):
    tuning = {"transfer": "smoke", "transfer_problems": {"mnist_lenet5": "mnist_mlp"}}
    note = "Settings transferred from tier smoke, problem mnist_mlp."
    assert found(folder, "mnist_lenet5", tuning=tuning) == (0.123, note)


def test_stated_problem_alone_is_taken_from_the_tier_that_the_file_names(folder):
    note = "Settings transferred from tier smoke, problem mnist_mlp."
    assert found(folder, "mnist_lenet5", tuning={"transfer_problems": {"mnist_lenet5": "mnist_mlp"}}) == (0.123, note)


def test_stated_problem_alone_leaves_the_others_as_they_are(folder):
    rates = {"problems": {"mnist_mlp": {"overrides": {"sgd": {"settings": {"learning_rate": 0.75}}}}}}
    tuning = {"transfer_problems": {"mnist_lenet5": "mnist_mlp"}}
    mine = {"tier": "mine", "based_on": "large", "tuning": tuning, **rates}
    (folder / "mine.yaml").write_text(yaml.safe_dump(mine), encoding="utf-8")
    assert found(folder, tier="mine")[0] == 0.75
    assert found(folder, "mnist_lenet5", tier="mine")[0] == 0.123


def test_own_tuning_is_transferred_from_nowhere(folder):
    tune(folder, "large", learning_rate=0.25)
    assert found(folder) == (0.25, "")


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        pytest.param({"tuning": {"transfer": None}}, (0.5, ""), id="no transfer"),
        pytest.param({"tuned": None}, (0.5, ""), id="nothing tuned"),
        pytest.param({"runs": {"sgd": {"settings": {"learning_rate": 0.75}}}}, (0.5, ""), id="another value"),
        pytest.param({"tier": "mine", "based_on": "large"}, (0.123, NOTE), id="a tier based on it"),
    ],
)
def test_what_is_given_above_goes_first(folder, overrides, expected):
    assert found(folder, **overrides) == expected


def test_note_names_the_problems_where_not_all_are_transferred(folder):
    context = context_of(load_configuration({"tier": "large"}, folder))
    note = transfer_note(context, ["mnist_mlp", "mnist_lenet5"])
    assert note == "On mnist_mlp: settings transferred from tier smoke."


@pytest.mark.parametrize(
    ("tuning", "line"),
    [
        ({"transfer": "smok"}, "tuning.transfer: there is no tuned tier 'smok', did you mean 'smoke'?"),
        (
            {"transfer": "smoke", "transfer_problems": {"mnist_mlp": "mnist"}},
            "tuning.transfer_problems.mnist_mlp: there is no tuned problem 'mnist', did you mean 'mnist_mlp'?",
        ),
    ],
    ids=["tier", "problem"],
)
def test_what_is_not_there_is_said_in_one_line(folder, tuning, line):
    with pytest.raises(ConfigurationError) as caught:
        found(folder, tuning=tuning)
    assert str(caught.value).startswith(line)


def test_stated_problem_without_a_tier_to_take_it_from_is_refused(folder):
    with pytest.raises(ConfigurationError, match=r"^tuning\.transfer_problems: given for mnist_mlp, and no tier"):
        load_configuration({"tuning": {"transfer_problems": {"mnist_mlp": "mnist_mlp"}}}, folder)
