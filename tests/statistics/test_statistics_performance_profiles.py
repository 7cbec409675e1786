"""Performance profiles of a small example whose ratios and shares were worked out by hand."""

import math

import numpy as np
import pandas as pd
import pytest

from secondorder.statistics.performance_profiles import performance_profiles, ratios_to_best

INF, NAN = math.inf, math.nan
# Best: 10 by a, 5 by b, and nobody; c is not asked on the third.
SPENT = pd.DataFrame(
    {"first": [10.0, 20.0, INF], "second": [15.0, 5.0, 10.0], "third": [INF, INF, NAN]}, index=["a", "b", "c"]
)


def test_ratios_are_to_the_best_run_of_each_problem():
    expected = [[1, 3, INF], [2, 1, INF], [INF, 2, NAN]]
    np.testing.assert_array_equal(ratios_to_best(SPENT), expected)


def test_profile_is_the_share_of_the_problems_that_count():
    profiles = performance_profiles(SPENT)
    assert list(profiles.index) == [1, 2, 3]
    np.testing.assert_allclose(profiles["a"], [1 / 3, 1 / 3, 2 / 3])
    np.testing.assert_allclose(profiles["b"], [1 / 3, 2 / 3, 2 / 3])
    np.testing.assert_allclose(profiles["c"], [0, 1 / 2, 1 / 2])


def test_leaving_misses_out_would_flatter():
    """The control: with its miss taken for a problem that does not count, the worst run would look perfect."""
    flattered = performance_profiles(SPENT.replace(INF, NAN))
    assert flattered["c"].iloc[-1] == 1
    assert performance_profiles(SPENT)["c"].iloc[-1] == 0.5


def test_common_unit_changes_nothing():
    pd.testing.assert_frame_equal(performance_profiles(SPENT), performance_profiles(4 * SPENT))


@pytest.mark.parametrize(
    ("spent", "ratios"),
    [
        pytest.param([0.0, 0.0, 3.0], [1, 1, INF], id="at the start"),
        pytest.param([INF, INF, INF], [INF, INF, INF], id="by nobody"),
        pytest.param([NAN, NAN, 3.0], [NAN, NAN, 1], id="by the only one that is asked"),
    ],
)
def test_problem_that_is_solved(spent, ratios):
    np.testing.assert_array_equal(ratios_to_best(pd.DataFrame({"p": spent}))["p"], ratios)


def test_run_that_no_problem_counts_for_has_no_profile():
    assert performance_profiles(pd.DataFrame({"p": [1.0, NAN]}, index=["a", "b"]))["b"].isna().all()
