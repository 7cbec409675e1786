"""Means of measures over Hessians, and the names of methods with their effort."""

import math

import numpy as np
import pandas as pd
import pytest

from secondorder.statistics.approximations import summarise_approximations, with_labels


def row(value, method="Lanczos", effort=10.0, problem="mnist_mlp", *, seed=None, converged=True, certified=False):
    key = {"problem": problem, "method": method, "kind": "iterative", "effort": effort, "unit": "products"}
    seed = value if seed is None else seed
    return {**key, "seed": seed, "converged": converged, "certified": certified, "error": value, "other": 2 * value}


def summary(*rows, measures=("error",)):
    return summarise_approximations(pd.DataFrame(rows), ["problem"], measures, 0.95).to_dict("records")


def test_mean_lies_in_its_interval_and_hessians_are_counted():
    (found,) = summary(row(1.0, certified=True), row(2.0, converged=False), row(6.0))
    assert found["error"] == 3
    assert 1 <= found["error_low"] < 3 < found["error_high"] <= 6
    assert (found["hessians"], found["converged"], found["certified"]) == (3, 2, 1)


def test_a_seed_counts_once_however_many_hessians_it_has():
    (found,) = summary(row(1.0, seed=0), row(2.0, seed=0), row(3.0, seed=0), row(6.0, seed=1))
    assert found["error"] == 4
    assert (found["error_low"], found["error_high"]) == (2, 6)


def test_mean_over_other_hessians_than_the_next_method_has_is_none():
    (found,) = summary(row(1.0, seed=0), row(math.nan, seed=0), row(6.0, seed=1))
    assert math.isnan(found["error"])


def test_methods_efforts_and_problems_stay_apart_in_their_order():
    found = summary(row(1.0), row(2.0, effort=20.0), row(3.0, method="ARPACK"), row(4.0, problem="deep"), row(5.0))
    assert [(each["problem"], each["method"], each["effort"], each["error"]) for each in found] == [
        ("mnist_mlp", "Lanczos", 10, 3),
        ("mnist_mlp", "Lanczos", 20, 2),
        ("mnist_mlp", "ARPACK", 10, 3),
        ("deep", "Lanczos", 10, 4),
    ]


def test_method_without_an_effort_is_not_lost():
    (found,) = summary(row(1.0, effort=math.nan), row(3.0, effort=math.nan))
    assert found["error"] == 2
    assert math.isnan(found["effort"])


def test_every_measure_has_its_own_interval():
    (found,) = summary(row(1.0), row(2.0), measures=("error", "other"))
    assert found["other"] == 2 * found["error"]
    assert found["other_low"] == pytest.approx(2 * found["error_low"])


def test_one_seed_has_no_interval():
    (found,) = summary(row(1.0))
    assert found["error"] == 1
    assert math.isnan(found["error_low"])
    assert math.isnan(found["error_high"])


@pytest.mark.filterwarnings("error")
def test_what_a_method_does_not_give_is_nan():
    (found,) = summary(row(math.nan, seed=0), row(math.nan, seed=1))
    assert np.isnan([found["error"], found["error_low"], found["error_high"]]).all()


@pytest.mark.parametrize(
    ("effort", "label"),
    [
        pytest.param(10.0, "Lanczos, 10 products", id="whole effort"),
        pytest.param(0.25, "Lanczos, 0.25 products", id="share"),
        pytest.param(1.0, "Lanczos, 1 product", id="one"),
        pytest.param(math.nan, "Lanczos", id="no effort"),
    ],
)
def test_label_names_method_and_effort(effort, label):
    assert with_labels(pd.DataFrame([row(1.0, effort=effort)]))["label"].tolist() == [label]
