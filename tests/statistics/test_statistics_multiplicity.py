"""Holm's correction and partial conjunctions against values worked by hand and against their definitions."""

import itertools
import math

import numpy as np
import pytest

from secondorder.statistics.multiplicity import holm, partial_conjunction

HAND_WORKED = {
    # Sorted 0.005, 0.01, 0.03, 0.04: times 4, 3, 2, 1 is 0.02, 0.03, 0.06, 0.04, and the last may not fall below 0.06.
    "four": ([0.01, 0.04, 0.03, 0.005], [0.03, 0.06, 0.06, 0.02]),
    "one": ([0.04], [0.04]),
    "equal": ([0.02, 0.02], [0.04, 0.04]),
    "at most 1": ([0.9, 0.6], [1.0, 1.0]),
    "a test that was not made does not count": ([0.01, math.nan, 0.04], [0.02, math.nan, 0.04]),
    "none": ([], []),
}


@pytest.mark.parametrize(("given", "expected"), HAND_WORKED.values(), ids=HAND_WORKED)
def test_holm_is_what_is_worked_by_hand(given, expected):
    assert holm(given) == pytest.approx(expected, nan_ok=True, abs=1e-15)


def rejected_by_steps(p_values, level):
    """Holm's own procedure: reject the smallest while p ≤ α / (number left)."""
    rejected = set()
    for step, place in enumerate(np.argsort(p_values, kind="stable")):
        if p_values[place] > level / (len(p_values) - step):
            break
        rejected.add(int(place))
    return rejected


@pytest.mark.parametrize("seed", range(5))
def test_holm_rejects_what_its_procedure_rejects(seed):
    p_values = np.random.default_rng(seed).uniform(0, 0.05, size=7)
    assert {int(place) for place in np.flatnonzero(holm(p_values) <= 0.05)} == rejected_by_steps(p_values, 0.05)


def test_holm_keeps_the_error_of_a_family_where_bare_p_values_do_not():
    generator = np.random.default_rng(0)
    families = generator.uniform(size=(4000, 6))
    wrong = np.mean([(holm(family) <= 0.05).any() for family in families])
    bare = np.mean((families <= 0.05).any(axis=1))
    assert wrong == pytest.approx(0.05, abs=0.01)
    assert bare > 0.25


def test_of_all_cases_it_is_the_largest_and_of_one_bonferroni():
    assert partial_conjunction([0.01, 0.2, 0.03], 3) == 0.2
    assert partial_conjunction([0.01, 0.2, 0.03], 1) == pytest.approx(0.03)


@pytest.mark.parametrize("cases", [1, 2, 3])
def test_partial_conjunction_is_the_worst_bonferroni_over_what_may_be_null(cases):
    """It holds in u of n unless n − u + 1 of them are null: the largest Bonferroni p value over all such sets."""
    p_values = [0.01, 0.02, 0.3]
    sets = itertools.combinations(p_values, len(p_values) - cases + 1)
    assert partial_conjunction(p_values, cases) == pytest.approx(max(min(1, len(one) * min(one)) for one in sets))


def test_what_holds_in_one_case_of_two_is_not_shown_in_both():
    generator = np.random.default_rng(1)
    p_values = np.column_stack([np.full(4000, 1e-9), generator.uniform(size=4000)])
    both = [partial_conjunction(row, 2) <= 0.05 for row in p_values]
    assert np.mean(both) == pytest.approx(0.05, abs=0.012)
