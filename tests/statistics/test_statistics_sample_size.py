"""How many seeds a test needs, against experiments that are simulated with so many."""

import math

import numpy as np
import pytest
from scipy import stats

from secondorder.statistics.sample_size import (
    POWER,
    power_of_mean_test,
    power_of_sign_test,
    units_for_equivalence,
    units_for_mean,
    units_for_median,
)

LEVEL = 0.05


def sample(mean, spread):
    """Three effects with exactly this mean and standard deviation."""
    return mean + spread * np.array([-1.0, 0.0, 1.0])


def simulated_p(units, bound, **normal):
    """SciPy's p values of "the mean is above the bound" in 4000 simulated experiments with so many units."""
    draws = np.random.default_rng(0).normal(size=(4000, units), **normal)
    return stats.ttest_1samp(draws, bound, axis=1, alternative="greater").pvalue


MEANS = {"one spread away": 1.0, "half a spread away": 0.5, "below the bound": -0.8}


@pytest.mark.parametrize("mean", MEANS.values(), ids=MEANS)
def test_so_many_decide_about_a_mean_and_half_of_them_do_not(mean):
    units = int(units_for_mean(sample(mean, 1.0), 0.0, LEVEL))
    assert np.mean(simulated_p(units, 0.0, loc=abs(mean)) <= LEVEL) == pytest.approx(POWER, abs=0.05)
    assert np.mean(simulated_p(units, 0.0, loc=abs(mean)) <= LEVEL) >= POWER - 0.02
    assert np.mean(simulated_p(max(2, units // 2), 0.0, loc=abs(mean)) <= LEVEL) < POWER


def test_so_many_show_equivalence_and_half_of_them_do_not():
    units = int(units_for_equivalence(sample(0.2, 1.0), 1.0, LEVEL))

    def shown(number):
        # Below 1 is shown where above 1 has a p value near 1.
        return (simulated_p(number, -1.0, loc=0.2) <= LEVEL) & (simulated_p(number, 1.0, loc=0.2) >= 1 - LEVEL)

    assert np.mean(shown(units)) >= POWER - 0.02
    assert np.mean(shown(units // 2)) < POWER


@pytest.mark.parametrize("mean", [1.5, -1.5])
def test_equivalence_is_refuted_by_as_many_as_the_nearer_margin_needs(mean):
    expected = units_for_mean(sample(1.5, 1.0), 1.0, LEVEL)
    assert units_for_equivalence(sample(mean, 1.0), 1.0, LEVEL) == expected


@pytest.mark.parametrize("share", [0.75, 0.9])
def test_power_of_the_sign_test_is_that_of_simulated_ones(share):
    draws = np.where(np.random.default_rng(2).uniform(size=(3000, 15)) < share, 1.0, -1.0)
    p_values = stats.binom.sf((draws > 0).sum(axis=1) - 1, 15, 0.5)
    shown = np.mean(p_values <= LEVEL)
    assert power_of_sign_test(share, np.array([15]), LEVEL)[0] == pytest.approx(shown, abs=0.03)


def test_three_of_three_signs_are_no_proof_that_all_are_so():
    certain = math.ceil(math.log2(1 / LEVEL))
    assert units_for_median(np.array([1.0, 2.0, math.inf]), 0.0, LEVEL) > certain


def test_a_lower_level_needs_more():
    assert units_for_mean(sample(1, 1), 0.0, 0.01) > units_for_mean(sample(1, 1), 0.0, 0.05)
    assert units_for_median(np.ones(3), 0.0, 0.01) > units_for_median(np.ones(3), 0.0, 0.05)


def test_power_is_the_level_where_there_is_no_effect():
    assert power_of_mean_test(0.0, 8, LEVEL) == pytest.approx(LEVEL, rel=1e-9)


NUMBERS = {
    "mean on the bound": (units_for_mean, sample(0.0, 1.0), math.inf),
    "mean without spread": (units_for_mean, np.ones(3), 2),
    "mean of one": (units_for_mean, np.ones(1), math.nan),
    "mean of a miss": (units_for_mean, np.array([1.0, math.inf]), math.nan),
    "mean far too near": (units_for_mean, sample(1e-6, 1.0), math.inf),
    "median with even sides": (units_for_median, np.array([1.0, -1.0]), math.inf),
    "median of misses of both": (units_for_median, np.full(3, math.nan), math.inf),
    "median of nothing": (units_for_median, np.empty(0), math.nan),
}


@pytest.mark.parametrize(("needed", "effects", "expected"), NUMBERS.values(), ids=NUMBERS)
def test_where_no_number_would_do_it_says_so(needed, effects, expected):
    assert needed(effects, 0.0, LEVEL) == pytest.approx(expected, nan_ok=True)
