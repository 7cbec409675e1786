"""What judging claims needs of the configuration: which tables there are, and what conditions are compared with."""

from pathlib import Path

import pytest

from secondorder.configuration.loading import load_configuration
from secondorder.configuration.resolution import absence, condition_references

CONFIG = Path(__file__).resolve().parents[2] / "config"
SMOKE = load_configuration({}, CONFIG)
REDUCED = load_configuration({"tier": "reduced"}, CONFIG)

ABSENT = {
    "aggregated": ("outcomes", set(), ""),
    "shown": ("sharpness", {"sharpness"}, ""),
    "not shown": (
        "sharpness",
        {"curves"},
        "no figure and no table of tier smoke reads sharpness, so that it is not made",
    ),
    "of no problem": ("spectrum", {"spectrum"}, "no problem of tier smoke has a table spectrum"),
}


@pytest.mark.parametrize(("table", "shown", "reason"), ABSENT.values(), ids=ABSENT)
def test_why_there_is_no_table(table, shown, reason):
    without = {name: section.model_copy(update={"curvature": []}) for name, section in SMOKE.problems.items()}
    configuration = SMOKE.model_copy(update={"problems": without}) if "no problem" in reason else SMOKE
    assert absence(configuration, table, shown) == reason


def test_conditions_are_compared_with_the_problem_itself():
    references = condition_references(SMOKE)
    assert set(references) == {"mnist_mlp"}
    assert set(references["mnist_mlp"].values()) == {"mnist_mlp"}
    assert "mnist_mlp" not in references["mnist_mlp"]


def test_a_problem_that_is_compared_with_one_of_its_conditions_is_a_condition_too():
    references = condition_references(REDUCED)["cifar10_3c3d"]
    assert set(references.values()) == {"cifar10_3c3d_none"}
    assert "cifar10_3c3d" in references
    assert "cifar10_3c3d_none" not in references
