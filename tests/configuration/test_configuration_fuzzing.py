"""Whatever is put into a configuration, it is taken and every run resolves, or one line names a key."""

import copy
import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, event, example, given, settings
from hypothesis import strategies as st

from secondorder import optim, problems
from secondorder.configuration.loading import check_configuration, load_configuration, merge, read_yaml
from secondorder.configuration.models import Configuration
from secondorder.configuration.resolution import run_specification, runs_of
from secondorder.errors import ConfigurationError
from secondorder.settings import settings_from
from secondorder.training.specification import RunSpecification

CONFIG = Path(__file__).resolve().parents[2] / "config"
FUZZING = settings(
    deadline=None,
    derandomize=True,
    database=None,
    max_examples=250,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
SCHEDULE = {"kind": "step", "milestones": [0.2, 0.8], "gamma": 0.5}
EVERY_KEY = merge(
    merge(read_yaml(CONFIG / "defaults.yaml"), read_yaml(CONFIG / "smoke.yaml")),
    {
        "based_on": "smoke",
        "device": "cpu",
        "threads": 1,
        "exclusive": True,
        "log_every": 10,
        "verify": {"runs": {"mnist_mlp": ["sgd"]}, "count": 2, "seeds": 1},
        "training_samples": 100,
        "data": {"folder": "somewhere", "allow_unverified": True},
        "statistics": {"confidence": 0.9, "resamples": 999, "reference": "sgd"},
        "curvature": {
            "exact_hessian": {"fitted": [0.01]},
            "growth": {"memory_megabytes": 100},
            "products": {"steps": [1.0e-3, 1.0e-20], "batch_sizes": [16], "widths": [32], "repeats": 2},
            "full_hessian": {"hidden": [2], "images": 100, "epochs": 1, "batch_size": 10},
            "spectrum": {"samples": 1, "batches": 1, "batch_size": 2},
            "directions": {"dampings": [0.1]},
            "approximations": {
                "pairs": 3,
                "damping": 0.5,
                "products": 50,
                "fractions": [0.5],
                "ranks": [2],
                "draws": [1],
                "control_samples": 16,
            },
            "sharpness": {"tolerance": 0.01, "products": 50},
        },
        "tuning": {
            "trials": 8,
            "seed": 1,
            "training_seed": 77,
            "transfer": "smoke",
            "transfer_problems": {"mnist_mlp": "mnist_mlp"},
        },
        "tuned": {
            "mnist_mlp": {
                "adam": {
                    "settings": {"learning_rate": 0.01},
                    "tier": "smoke",
                    "trials": 16,
                    "search": {"learning_rate": {"low": 0.001, "high": 0.1, "scale": "log"}},
                    "at_edge": [],
                    "problem": "mnist_mlp",
                }
            }
        },
        "runs": {"sgd": {"batch_size": 16, "schedule": SCHEDULE}},
        "problems": {
            "mnist_mlp": {
                "module": "mnist_mlp",
                "settings": {"activation": "tanh"},
                "condition_reference": "coupled",
                "tune_conditions": True,
                "runs": ["sgd", "adam"],
                "overrides": {"sgd": {"batch_size": 8, "schedule": SCHEDULE, "settings": {"momentum": 0.5}}},
            }
        },
    },
)


def paths_below(value, path=()):
    """The path of every value in nested mappings and lists."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield (*path, key)
        yield from paths_below(inner, (*path, key))


def kind_of_place(path):
    """A path with the names that are chosen freely taken out, so that all runs' labels are one kind of place."""
    return tuple("*" if before in NAMED else key for before, key in zip((None, *path), path, strict=False))


NAMED = {"runs", "problems", "studies", "conditions", "overrides", "functions", "figures", "tables", "tuned", "search"}
NAMED |= {"settings"}
PATHS = list(paths_below(EVERY_KEY))
PLACES = list({kind_of_place(path): path for path in PATHS}.values())
WORDS = sorted({str(key) for path in PATHS for key in path} | {"float", "[key]", "constrained", "list[int]", "lbfgs"})
KEYS = st.one_of(st.sampled_from(WORDS), st.text(max_size=5), st.integers(0, 3), st.booleans(), st.none())
LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-2, 5),
    st.integers(-(10**30), 10**30),
    st.floats(0, 1),
    st.floats(),
    st.sampled_from([*WORDS, "1e-3", "nan", "5", "relu", "cosine"]),
    st.text(max_size=8),
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(KEYS, inner, max_size=3)),
    max_leaves=6,
)


def values_like(path):
    """Values of the type of the one at the path, so that many are possible."""
    value = EVERY_KEY
    for key in path:
        value = value[key]
    kinds = {bool: st.booleans(), int: st.integers(1, 40), float: st.floats(0, 1), str: st.sampled_from(WORDS)}
    return kinds.get(type(value), VALUES)


TYPED = [path for path in PATHS if values_like(path) is not VALUES]
LIKELY = st.sampled_from(TYPED).flatmap(lambda path: st.tuples(st.just(path), st.none(), values_like(path)))
UNLIKELY = st.tuples(st.sampled_from(PATHS), st.one_of(st.none(), KEYS), VALUES)


def mutated(mutations):
    """The configuration with values replaced, or added under a new key beside the value at the path."""
    values = copy.deepcopy(EVERY_KEY)
    for path, new_key, value in mutations:
        holder = values
        for key in path[:-1]:
            holder = holder[key] if isinstance(holder, dict) and key in holder else None
        if isinstance(holder, dict):
            holder[path[-1] if new_key is None else new_key] = value
        elif isinstance(holder, list) and isinstance(path[-1], int) and path[-1] < len(holder):
            holder[path[-1]] = value
    return values


def check(load):
    """The property: it loads and resolves, or raises one line that begins with a key."""
    try:
        configuration = load()
    except ConfigurationError as error:
        message = str(error)
        assert len(message.splitlines()) == 1
        key, colon, sentence = message.partition(": ")
        assert colon, message
        assert key, message
        assert sentence, message
        return "refused"
    assert Configuration.model_validate(json.loads(configuration.model_dump_json())) == configuration
    for problem in configuration.problems:
        for run in runs_of(configuration, problem):
            specification = run_specification(configuration, problem, run)
            plain = json.loads(json.dumps(specification.to_mapping(), allow_nan=False))
            assert RunSpecification.from_mapping(plain) == specification
            settings_from(optim.load(specification.optimizer).Settings, specification.optimizer_settings)
            settings_from(problems.load(specification.problem_module).Settings, specification.problem_settings)
    return "taken"


def test_the_configuration_that_is_mutated_is_good_and_has_every_key():
    check_configuration(EVERY_KEY)
    named = {str(key) for path in PATHS for key in path}
    # The tier archive has no other key of its own.
    optional = {"label", "dataset", "per_problem", "archive"}
    schema = Configuration.model_json_schema()
    keys = set(schema["properties"]).union(*(model["properties"] for model in schema["$defs"].values()))
    assert keys - named <= optional


@pytest.mark.long
@FUZZING
@given(st.lists(LIKELY, min_size=1, max_size=3))
def test_values_of_the_right_type(mutations):
    event(check(lambda: check_configuration(mutated(mutations))))


@FUZZING
@given(st.lists(UNLIKELY, min_size=1, max_size=3))
@example([(("runs", "sgd", "settings"), None, {"learning_rate": float("inf")})])
@example([(("seeds",), None, [2**31])])
@example([(("seeds",), "a\nb", 1)])
def test_mutated_configurations(mutations):
    event(check(lambda: check_configuration(mutated(mutations))))


@FUZZING
@given(st.dictionaries(KEYS, VALUES, max_size=3))
def test_arbitrary_overrides(overrides):
    event(check(lambda: check_configuration(merge(EVERY_KEY, overrides))))


@FUZZING
@given(st.dictionaries(KEYS, VALUES, max_size=3))
def test_arbitrary_configurations(values):
    event(check(lambda: check_configuration(values)))


@settings(parent=FUZZING, max_examples=40)
@given(st.fixed_dictionaries({}, optional={"tier": VALUES, "based_on": VALUES, "seeds": VALUES}))
def test_arbitrary_tiers(overrides):
    event(check(lambda: load_configuration(overrides, CONFIG)))


@pytest.mark.parametrize("path", PLACES, ids=lambda path: ".".join(map(str, path)))
def test_odd_values_anywhere(path):
    for value in ({"zzz": [object]}, [[[1]]], "\n", "", -1, 10**30, float("nan"), float("inf"), None, True):
        check(lambda value=value: check_configuration(mutated([(path, None, value)])))
