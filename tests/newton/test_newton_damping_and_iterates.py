"""Saved iterates are those of the rule and the best of them is found; the damping follows the ratio."""

import math

import pytest
import torch

from secondorder.newton.iterate_backtracking import IterateSaver, SavedIterate, best_iterate
from secondorder.newton.krylov_solution import Iterate
from secondorder.newton.levenberg_marquardt import DAMPING_RANGE, next_damping, reduction_ratio


def iterate(number):
    """The i-th iterate has d = i, g = −1 and r = 1 − i: φ = (−i − i (1 − i)) / 2 = i²/2 − i."""
    return Iterate(number, *(torch.tensor([float(value)]) for value in (number, 1 - number, -1)))


@pytest.mark.parametrize(
    ("growth", "updates", "kept"),
    [
        # ⌈1.3^j⌉ = 2, 2, 3, 3, 4, 5, 7, 9, 11, 14, 18, 24 …
        pytest.param(1.3, 20, [2, 3, 4, 5, 7, 9, 11, 14, 18, 20], id="the paper's"),
        pytest.param(1.3, 9, [2, 3, 4, 5, 7, 9], id="the last one once"),
        pytest.param(2.0, 20, [2, 4, 8, 16, 20], id="powers of two"),
        pytest.param(1.3, 1, [1], id="one update"),
        pytest.param(1.3, 0, [], id="none"),
    ],
)
def test_iterates_are_saved_in_growing_distances(growth, updates, kept):
    saver = IterateSaver(growth)
    for number in range(1, updates + 1):
        saver.see(iterate(number))
    assert [saved.number for saved in saver.saved()] == kept
    assert [saved.change for saved in saver.saved()] == [n**2 / 2 - n for n in kept]


def test_a_saved_iterate_is_a_copy():
    saver, seen = IterateSaver(1.3), iterate(2)
    saver.see(seen)
    seen.direction.zero_()
    assert float(saver.saved()[0].direction) == 2


@pytest.mark.parametrize(
    ("changes", "best", "tried"),
    [
        pytest.param([-1.0, -2.0, -3.0], 2, 1 + 1, id="the last"),
        pytest.param([-1.0, -4.0, -3.0], 1, 3, id="the one before"),
        pytest.param([-9.0, -1.0, -3.0], 2, 2, id="not beyond a worse one"),
        pytest.param([-9.0, -4.0, 3.0], 0, 3, id="the first"),
        pytest.param([-1.0, -2.0, math.nan], 1, 3, id="the last is not a number"),
        pytest.param([-1.0], 0, 1, id="the only one"),
    ],
)
def test_it_goes_back_while_the_function_falls(changes, best, tried):
    iterates = [SavedIterate(i, torch.tensor(float(i)), 0.0) for i in range(len(changes))]
    asked = []

    def change(direction):
        asked.append(int(direction))
        return changes[int(direction)]

    found, measured = best_iterate(iterates, change)
    assert (found.number, measured) == (best, changes[best])
    assert asked == list(range(len(changes)))[::-1][:tried]


@pytest.mark.parametrize(
    ("actual", "predicted", "ratio"),
    [
        pytest.param(-0.5, -2.0, 0.25, id="a quarter"),
        pytest.param(1.0, -2.0, -0.5, id="an increase"),
        pytest.param(-1.0, 2.0, -math.inf, id="no decrease promised"),
        pytest.param(-1e-9, 1e-9, None, id="rounding"),
    ],
)
def test_the_ratio_is_measured_over_predicted(actual, predicted, ratio):
    assert reduction_ratio(actual, predicted, 1e-8) == ratio


@pytest.mark.parametrize(
    ("damping", "ratio", "following"),
    [
        pytest.param(6.0, 0.76, 4.0, id="agreement"),
        pytest.param(6.0, 0.75, 6.0, id="at three quarters"),
        pytest.param(6.0, 0.25, 6.0, id="at a quarter"),
        pytest.param(6.0, 0.24, 9.0, id="disagreement"),
        pytest.param(6.0, -math.inf, 9.0, id="ascent"),
        pytest.param(6.0, math.nan, 9.0, id="not a number"),
        pytest.param(6.0, None, 6.0, id="nothing learnt"),
        pytest.param(1.0, 1.0, 1.0, id="at its floor"),
        pytest.param(DAMPING_RANGE[1], 0.0, DAMPING_RANGE[1], id="at its ceiling"),
    ],
)
def test_the_damping_follows_the_ratio(damping, ratio, following):
    assert next_damping(damping, ratio, smallest=1.0) == pytest.approx(following, rel=1e-15)
