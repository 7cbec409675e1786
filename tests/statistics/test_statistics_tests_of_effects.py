"""One-sided tests and intervals against SciPy, against each other and against effects whose truth is known."""

import math

import numpy as np
import pytest
from scipy import stats

from secondorder.statistics.tests_of_effects import mean_above, mean_interval, median_above, median_interval

INF = math.inf
SAMPLE = np.array([0.3, 1.1, 0.7, 0.2, 0.9])


@pytest.mark.parametrize("bound", [-1.0, 0.0, 0.5, 2.0])
def test_test_of_the_mean_is_that_of_scipy(bound):
    expected = stats.ttest_1samp(SAMPLE, bound, alternative="greater").pvalue
    assert mean_above(SAMPLE, bound) == pytest.approx(expected, rel=1e-12)


def test_two_one_sided_tests_of_equivalence_are_those_of_scipy():
    margin, effects = 1.5, SAMPLE - 0.5
    ours = max(mean_above(effects, -margin), mean_above(-effects, -margin))
    lower = stats.ttest_1samp(effects, -margin, alternative="greater").pvalue
    upper = stats.ttest_1samp(effects, margin, alternative="less").pvalue
    assert ours == pytest.approx(max(lower, upper), rel=1e-12)


@pytest.mark.parametrize("margin", [0.2, 0.9, 1.4])
def test_equivalence_is_shown_exactly_where_the_interval_lies_within_the_margins(margin):
    effects = SAMPLE - 0.5
    shown = max(mean_above(effects, -margin), mean_above(-effects, -margin)) <= 0.05
    low, high = mean_interval(effects, 0.9)
    assert shown == (-margin < low and high < margin)


EQUAL = {"above": (0.5, 0.0), "on the bound": (1.0, 1.0), "below": (1.5, 1.0)}


@pytest.mark.parametrize(("bound", "p"), EQUAL.values(), ids=EQUAL)
def test_equal_effects_leave_no_doubt(bound, p):
    assert mean_above(np.ones(3), bound) == p


@pytest.mark.parametrize("effects", [[1.0], [], [1.0, INF], [1.0, math.nan]], ids=str)
def test_what_has_no_spread_or_no_mean_is_not_tested(effects):
    assert math.isnan(mean_above(np.array(effects), 0.0))
    assert tuple(mean_interval(np.array(effects), 0.9)) == (-INF, INF)


SIGNS = {
    "all of three above": ([1, 2, 3], 1 / 8),
    "all of five above": ([1, 2, 3, 4, 5], 1 / 32),
    "four of five above": ([1, 2, 3, 4, -5], 6 / 32),
    "a miss of what it is compared with is above": ([1, 2, INF], 1 / 8),
    "an own miss is not above": ([1, 2, -INF], 4 / 8),
    "two misses are not above": ([1, 2, math.nan], 4 / 8),
    "equal to the bound is not above": ([1, 2, 0], 4 / 8),
    "none above": ([-1, -2, -3], 1.0),
}


@pytest.mark.parametrize(("effects", "p"), SIGNS.values(), ids=SIGNS)
def test_test_of_the_median_counts_signs_and_drops_nothing(effects, p):
    assert median_above(np.array(effects, dtype=float), 0.0) == pytest.approx(p, rel=1e-12)


def test_of_nothing_there_is_no_test_of_a_median():
    assert math.isnan(median_above(np.empty(0), 0.0))


INTERVALS = {
    "of three there is none": ([1, 2, 3], (-INF, INF)),
    "five": ([5, 1, 4, 2, 3], (1, 5)),
    "a miss is its end": ([5, 1, 4, 2, INF], (1, INF)),
    "two misses are both ends": ([5, 1, 4, 2, math.nan], (-INF, INF)),
    "eight leave one out at each end": ([1, 2, 3, 4, 5, 6, 7, 8], (2, 7)),
}


@pytest.mark.parametrize(("effects", "ends"), INTERVALS.values(), ids=INTERVALS)
def test_interval_of_the_median_lies_between_order_statistics(effects, ends):
    assert tuple(median_interval(np.array(effects, dtype=float), 0.9)) == ends


@pytest.mark.parametrize(("above", "interval"), [(mean_above, mean_interval), (median_above, median_interval)])
def test_a_margin_that_is_not_there_is_shown_rarely_and_one_that_is_often(above, interval):
    generator = np.random.default_rng(0)
    samples = generator.normal(1.0, 1.0, size=(400, 12))
    wrong = np.mean([above(sample, 1.0) <= 0.05 for sample in samples])
    right = np.mean([above(sample, 0.0) <= 0.05 for sample in samples])
    covered = np.mean([interval(sample, 0.9).low <= 1.0 <= interval(sample, 0.9).high for sample in samples])
    assert wrong <= 0.07
    assert right > 0.6
    assert covered >= 0.87
