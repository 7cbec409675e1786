"""The bootstrap interval agrees with the exact bootstrap distribution, and with the t-interval where both hold."""

import itertools

import numpy as np
import pytest
from scipy import stats

from secondorder.statistics.intervals import bootstrap_interval


def exact_means(values):
    """The means of all resamples, each as likely as the other."""
    return np.sort([np.mean(draw) for draw in itertools.product(values, repeat=len(values))])


THREE = {"even": (1.0, 2.0, 3.0), "skewed": (0.0, 0.0, 9.0), "close": (97.1, 97.3, 98.2)}


@pytest.mark.parametrize("confidence", [0.5, 0.8, 0.9])
@pytest.mark.parametrize("values", THREE.values(), ids=THREE.keys())
def test_ends_are_quantiles_of_all_27_resamples(values, confidence):
    """Each end has the exact share of the 27 means beyond it, give or take five standard errors of 9999 draws."""
    means = exact_means(values)
    assert len(means) == 27
    low, high = bootstrap_interval(np.array(values), confidence, 9999)
    tail = (1 - confidence) / 2
    error = 5 * np.sqrt(tail * (1 - tail) / 9999)
    tolerance = 1e-9
    assert np.mean(means < low - tolerance) <= tail + error
    assert np.mean(means <= low + tolerance) >= tail - error
    assert np.mean(means > high + tolerance) <= tail + error
    assert np.mean(means >= high - tolerance) >= tail - error


def test_95_percent_of_three_seeds_reaches_from_the_smallest_to_the_largest():
    """All three draws are the smallest in 1 of 27 resamples, 3.7 %, more than the 2.5 % of a tail."""
    low, high = bootstrap_interval(np.array([1.0, 2.0, 7.0]), 0.95, 9999)
    assert (low, high) == (1.0, 7.0)


def test_90_percent_of_three_seeds_is_narrower():
    """The smallest mean has 3.7 %, less than the 5 % of a tail: the end is the next mean, (1 + 1 + 2)/3."""
    low, high = bootstrap_interval(np.array([1.0, 2.0, 7.0]), 0.9, 9999)
    assert (low, high) == pytest.approx((4 / 3, 16 / 3))


def test_ends_agree_with_the_t_interval_on_many_seeds():
    generator = np.random.default_rng(1)
    values = generator.normal(size=(50, 40))
    low, high = bootstrap_interval(values, 0.95, 999)
    mean, error = values.mean(axis=0), stats.sem(values, axis=0)
    t_low, t_high = stats.t.interval(0.95, df=49, loc=mean, scale=error)
    np.testing.assert_allclose((high - low) / (t_high - t_low), 1, atol=0.12)
    np.testing.assert_allclose((low + high) / 2, mean, atol=0.05)


def test_interval_covers_the_mean_of_normal_samples():
    """400 samples of 50: 95 % nominal; with three standard errors (3.3 %) and the known narrowness, 90 to 98 %."""
    values = np.random.default_rng(2).normal(loc=3.0, size=(50, 400))
    low, high = bootstrap_interval(values, 0.95, 999)
    assert 0.90 <= np.mean((low <= 3.0) & (high >= 3.0)) <= 0.98


def test_higher_level_gives_a_wider_interval():
    values = np.random.default_rng(3).normal(size=20)
    widths = [np.subtract(*bootstrap_interval(values, level, 999)[::-1]) for level in (0.5, 0.8, 0.95, 0.99)]
    assert widths == sorted(widths)
    assert widths[0] < widths[-1]


@pytest.mark.parametrize("shape", [(3,), (3, 4), (2, 5), (10, 2, 3)], ids=str)
def test_ends_have_the_shape_of_one_seed(shape):
    low, high = bootstrap_interval(np.random.default_rng(0).normal(size=shape), 0.9, 99)
    assert low.shape == high.shape == shape[1:]
    assert np.all(low < high)


@pytest.mark.parametrize("shape", [(1,), (1, 4), (0, 2)], ids=str)
def test_fewer_than_two_seeds_have_no_interval(shape):
    low, high = bootstrap_interval(np.ones(shape), 0.9, 99)
    assert low.shape == high.shape == shape[1:]
    assert np.isnan(low).all()
    assert np.isnan(high).all()


def test_equal_seeds_have_an_interval_of_no_width():
    assert bootstrap_interval(np.full(4, 2.5), 0.95, 99) == (2.5, 2.5)


def test_same_values_give_the_same_interval_whatever_was_drawn_before():
    values = np.random.default_rng(5).normal(size=7)
    first = bootstrap_interval(values, 0.8, 99)
    np.random.default_rng().normal(size=3)
    np.random.seed(1)  # noqa: NPY002
    assert bootstrap_interval(values, 0.8, 99) == first


def test_interval_moves_with_the_values():
    values = np.random.default_rng(6).normal(size=7)
    low, high = bootstrap_interval(values, 0.8, 99)
    shifted_low, shifted_high = bootstrap_interval(10 * values + 3, 0.8, 99)
    assert (shifted_low, shifted_high) == pytest.approx((10 * low + 3, 10 * high + 3))
