"""Exponents of growth against the normal equations of the fit, and how often their intervals hold the truth."""

import numpy as np
import pytest
from scipy import stats

from secondorder.statistics.growth_exponent import GrowthExponent

SIZES = np.array([2.0, 5.0, 11.0, 40.0])
VALUES = np.array([3.0, 30.0, 90.0, 2000.0])


def test_exponent_and_error_are_those_of_the_normal_equations():
    design = np.column_stack([np.ones(4), np.log(SIZES)])
    solution, (squares,), *_ = np.linalg.lstsq(design, np.log(VALUES), rcond=None)
    error = np.sqrt(squares / 2 * np.linalg.inv(design.T @ design)[1, 1])
    found = GrowthExponent.of(SIZES, VALUES)
    assert (found.value, found.error, found.freedom) == pytest.approx((solution[1], error, 2))


def test_power_law_has_its_power_and_no_error():
    found = GrowthExponent.of(SIZES, 7 * SIZES**2.5)
    assert found.value == pytest.approx(2.5)
    assert (found.above(2.4), found.above(2.6)) == pytest.approx((0, 1), abs=1e-12)


def test_p_value_is_where_the_interval_ends():
    found = GrowthExponent.of(SIZES, VALUES)
    low, high = found.interval(0.9)
    assert found.above(low) == pytest.approx(0.05)
    assert found.above(high) == pytest.approx(0.95)


def test_interval_holds_the_truth_as_often_as_it_says():
    noise = stats.norm.rvs(size=(2000, 4), scale=0.3, random_state=0)
    intervals = [GrowthExponent.of(SIZES, SIZES**2 * np.exp(each)).interval(0.9) for each in noise]
    held = np.mean([low <= 2 <= high for low, high in intervals])
    assert held == pytest.approx(0.9, abs=0.02)


def test_two_sizes_have_no_error():
    assert GrowthExponent.of(np.array([1.0, 2.0, 2.0]), np.array([1.0, 4.0, 5.0])) is None
