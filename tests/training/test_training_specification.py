"""A specification travels as JSON unchanged, and what is none is refused in one line."""

import json

import pytest
from training_support import specification

from secondorder.errors import ConfigurationError
from secondorder.training.specification import RunSpecification

CASES = [
    pytest.param(specification(), id="small"),
    pytest.param(
        specification(
            problem_module="cifar10_3c3d",
            problem_settings={"penalty": 0.002, "augment": False},
            optimizer="lbfgs",
            optimizer_settings={"iterations": 3, "line_search": True},
            schedule={"kind": "step", "milestones": [0.25, 0.5], "gamma": 0.5},
            seeds=(3, 1, 2),
            threads=2,
            device="auto",
            log_every=50,
            snapshots=(0.0, 0.5),
            budget_epochs=0.1,
        ),
        id="everything set",
    ),
]


@pytest.mark.parametrize("chosen", CASES)
def test_the_round_trip_through_json_changes_nothing(chosen, tmp_path):
    path = tmp_path / "specification.json"
    path.write_text(json.dumps(chosen.to_mapping()), encoding="utf-8")
    assert RunSpecification.from_file(path) == chosen


@pytest.mark.parametrize(
    ("change", "same"),
    [
        ({"seeds": (5,)}, True),
        ({"threads": 3}, True),
        ({"device": "auto"}, True),
        ({"log_every": 9}, True),
        ({"snapshots": (0.5,)}, True),
        ({"evaluate_test": False}, False),
        ({"batch_size": 15}, False),
        ({"unit_batch_size": 15}, False),
        ({"budget_epochs": 4}, False),
        ({"optimizer_settings": {"learning_rate": 0.06}}, False),
        ({"schedule": {"kind": "cosine"}}, False),
        ({"dataset": "other"}, False),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_the_experiment_is_all_but_seeds_and_execution(change, same):
    assert (specification(**change).experiment() == specification().experiment()) is same


MAPPING = specification().to_mapping()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("{", "cannot be read as a run specification", id="no JSON"),
        pytest.param(b"\xff\xfe\x00", "cannot be read as a run specification", id="no text"),
        pytest.param("[1, 2]", "not a run specification", id="a list"),
        pytest.param('"sgd"', "not a run specification", id="a string"),
        pytest.param("null", "not a run specification", id="null"),
        pytest.param(json.dumps({**MAPPING, "epochs": 3}), "epochs", id="unknown field"),
        pytest.param(json.dumps({**MAPPING, "seeds": 3}), "not a run specification", id="seeds no list"),
        pytest.param(json.dumps({**MAPPING, "seeds": []}), "seed", id="no seeds"),
        *(
            pytest.param(json.dumps({k: v for k, v in MAPPING.items() if k != name}), name, id=f"without {name}")
            for name in ("optimizer", "batch_size", "dataset", "seeds")
        ),
    ],
)
def test_what_is_no_specification_is_refused(text, message, tmp_path):
    path = tmp_path / "specification.json"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ConfigurationError, match=message) as caught:
        RunSpecification.from_file(path)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ConfigurationError, match=r"nowhere\.json: cannot be read"):
        RunSpecification.from_file(tmp_path / "nowhere.json")


def test_what_is_not_said_has_its_default():
    defaults = {
        "problem_settings": {},
        "optimizer_settings": {},
        "schedule": {"kind": "constant"},
        "training_samples": 10_000,
        "evaluate_test": True,
        "threads": 1,
        "device": "auto",
        "log_every": 1,
        "snapshots": (),
    }
    made = RunSpecification.from_mapping({k: v for k, v in MAPPING.items() if k not in defaults})
    assert {name: getattr(made, name) for name in defaults} == defaults
