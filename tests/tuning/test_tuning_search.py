"""Trials are the same quasi-random points for every run, in the ranges, and as coarse as the file that keeps them."""

import itertools
import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from secondorder.errors import ConfigurationError
from secondorder.training.specification import RunSpecification
from secondorder.tuning.search import Range, Search, draw_trials, quasi_random_points

DECADES = Range(1e-3, 1.0)
QUICK = settings(deadline=None, derandomize=True, database=None, max_examples=200)


def positive():
    return st.floats(1e-12, 1e6)


@pytest.mark.parametrize("count", [1, 2, 3, 16, 21])
@pytest.mark.parametrize("dimensions", [1, 2, 3])
def test_points_lie_in_the_unit_cube(count, dimensions):
    points = quasi_random_points(count, dimensions, seed=0)
    assert points.shape == (count, dimensions)
    assert ((points >= 0) & (points < 1)).all()


def test_points_are_the_same_each_time_and_others_for_another_seed():
    assert np.array_equal(quasi_random_points(16, 2, 0), quasi_random_points(16, 2, 0))
    assert not np.array_equal(quasi_random_points(16, 2, 0), quasi_random_points(16, 2, 1))


def test_drawing_leaves_the_global_generator_alone():
    np.random.seed(0)  # noqa: NPY002
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    quasi_random_points(16, 1, 0)
    assert np.array_equal(before, np.random.get_state()[1])  # noqa: NPY002


@pytest.mark.parametrize("fewer", [1, 5, 16])
def test_more_trials_begin_with_the_same_ones(fewer):
    assert np.array_equal(quasi_random_points(32, 2, 0)[:fewer], quasi_random_points(fewer, 2, 0))


@pytest.mark.parametrize("exponent", [0, 1, 4])
@pytest.mark.parametrize("seed", range(5))
def test_each_interval_of_a_power_of_two_holds_one_point(exponent, seed):
    count = 2**exponent
    points = quasi_random_points(count, 2, seed)
    for column in points.T:
        assert sorted(np.floor(column * count).astype(int)) == list(range(count))


def test_runs_with_equally_many_settings_get_the_same_positions():
    first = draw_trials({"learning_rate": Range(1e-4, 1.0)}, 16, 0)
    second = draw_trials({"damping": Range(1e-8, 1.0)}, 16, 0)
    for one, other in zip(first, second, strict=True):
        # Both scales are whole numbers of decades, of which the second has twice as many.
        assert math.log10(other["damping"]) / 2 == pytest.approx(math.log10(one["learning_rate"]), abs=0.005)


def test_order_of_the_settings_does_not_matter():
    ranges = {"a": Range(1e-3, 1.0), "b": Range(0.0, 1.0, "linear")}
    assert draw_trials(ranges, 8, 0) == draw_trials(dict(reversed(ranges.items())), 8, 0)


@pytest.mark.parametrize("trials", [1, 7, 16])
def test_as_many_trials_as_are_asked_for_whatever_the_number_of_settings(trials):
    for names in ("a", "ab", "abc"):
        assert len(draw_trials(dict.fromkeys(names, DECADES), trials, 0)) == trials


def test_trials_of_a_log_scale_are_spread_evenly_over_its_decades():
    values = [trial["a"] for trial in draw_trials({"a": DECADES}, 12, 0)]
    for low, high in itertools.pairwise([1e-3, 1e-2, 1e-1, 1.0]):
        assert 3 <= sum(low <= value < high for value in values) <= 5


@QUICK
@given(positive(), st.floats(1.01, 1e9), st.floats(0, 1), st.sampled_from(["log", "linear"]))
def test_value_is_in_the_range_and_short(low, factor, position, scale):
    searched = Range(low, low * factor, scale)
    value = searched.value(position)
    assert searched.low <= value <= searched.high
    assert value in {float(f"{value:.3g}"), searched.low, searched.high}


@QUICK
@given(st.integers(1, 50), st.integers(1, 1000), st.floats(0, 1), st.sampled_from(["log", "linear"]))
def test_whole_numbers_stay_whole_and_in_the_range(low, width, position, scale):
    value = Range(low, low + width, scale, whole=True).value(position)
    assert isinstance(value, int)
    assert low <= value <= low + width


@pytest.mark.parametrize(
    ("searched", "position", "value"),
    [
        (DECADES, 0, 0.001),
        (DECADES, 1, 1.0),
        (DECADES, 1 / 3, 0.01),
        (DECADES, 0.5, 0.0316),
        (Range(0.0, 2.0, "linear"), 0.25, 0.5),
        (Range(-1.0, 1.0, "linear"), 0.123456, -0.753),
        (Range(0.0123456, 1.0), 0, 0.0123456),
        (Range(1, 100, whole=True), 0.5, 10),
        (Range(1, 3, "linear", whole=True), 0.9, 3),
    ],
    ids=str,
)
def test_value_at_a_position(searched, position, value):
    assert searched.value(position) == value


@QUICK
@given(positive(), st.floats(1.01, 1e9), st.floats(0, 1), st.sampled_from(["log", "linear"]))
def test_position_undoes_value_up_to_its_rounding(low, factor, position, scale):
    searched = Range(low, low * factor, scale)
    back = searched.value(searched.position(searched.value(position)))
    assert back == pytest.approx(searched.value(position), rel=2e-2)


@pytest.mark.parametrize(
    ("value", "near"),
    [(0.001, True), (0.0014, True), (0.00142, False), (0.03, False), (0.7, False), (0.71, True), (1.0, True)],
)
def test_edge_is_the_outer_twentieth_on_the_scale(value, near):
    assert DECADES.at_edge(value) is near


@pytest.mark.parametrize(("value", "near"), [(0.0, True), (0.5, True), (0.51, False), (9.49, False), (9.51, True)])
def test_edge_of_a_linear_range(value, near):
    assert Range(0.0, 10.0, "linear").at_edge(value) is near


SPECIFICATION = RunSpecification(
    problem="tiny",
    problem_module="mnist_mlp",
    dataset="synthetic",
    run="tested",
    optimizer="sgd",
    optimizer_settings={"momentum": 0.5},
    batch_size=30,
    unit_batch_size=30,
    budget_epochs=3,
    seeds=(1_000_000,),
    evaluate_test=False,
)
SEARCH = Search(SPECIFICATION, {"learning_rate": DECADES}, ({"learning_rate": 0.1}, {"learning_rate": 0.01}))


def test_trial_is_the_run_with_other_settings():
    first, second = SEARCH.specifications()
    assert first.optimizer_settings == {"momentum": 0.5, "learning_rate": 0.1}
    assert second.optimizer_settings == {"momentum": 0.5, "learning_rate": 0.01}
    for trial in (first, second):
        assert {**trial.to_mapping(), "optimizer_settings": {}} == {
            **SPECIFICATION.to_mapping(),
            "optimizer_settings": {},
        }


def test_search_survives_json(tmp_path):
    path = tmp_path / "trials.json"
    path.write_text(json.dumps(SEARCH.to_mapping()), encoding="utf-8")
    assert Search.from_file(path) == SEARCH


BROKEN = {
    "a specification": SPECIFICATION.to_mapping(),
    "no trials": {**SEARCH.to_mapping(), "trials": []},
    "a list": [1],
    "unknown range": {**SEARCH.to_mapping(), "ranges": {"a": {"low": 1, "high": 2, "width": 3}}},
}


@pytest.mark.parametrize("values", BROKEN.values(), ids=BROKEN.keys())
def test_what_is_no_search_is_refused(values):
    with pytest.raises(ConfigurationError, match=r"^not a search: "):
        Search.from_mapping(values)


def test_unreadable_file_is_named(tmp_path):
    with pytest.raises(ConfigurationError, match="cannot be read as a search"):
        Search.from_file(tmp_path / "nothing.json")
