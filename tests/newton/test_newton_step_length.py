"""Step lengths: the quadratic model, its Taylor error, the control that follows it, and Armijo's line search."""

import math
from dataclasses import replace

import pytest
import torch

from secondorder.newton.armijo import backtrack
from secondorder.newton.quadratic_model import QuadraticModel, rounding_of, taylor_error
from secondorder.newton.taylor_control import SMALLEST_LENGTH, TaylorRule, taylor_control

RULE = TaylorRule(shrink_above=0.5, grow_below=0.1, shrink=0.5, grow=2.0, retries=3)
# A slope of -1 with its minimum at α = 1: changes -3/8 at 1/2, -1/2 at 1.
MODEL = QuadraticModel(slope=-1.0, curvature=1.0)


class Measured:
    """A function along a line whose lengths are remembered."""

    def __init__(self, change):
        self.change, self.lengths = change, []

    def __call__(self, length):
        self.lengths.append(length)
        return self.change(length)


def control(change, *, model=MODEL, length=0.5, longest=1.0, largest=1.0, rounding=0.0, rule=RULE):
    return taylor_control(change, model, length=length, longest=longest, largest=largest, rounding=rounding, rule=rule)


def share(fraction):
    """A function that changes by this share of what the model predicts."""
    return lambda length: fraction * MODEL.change(length)


# The model


@pytest.mark.parametrize("length", [0.0, 0.3, 1.0, -2.0])
def test_the_model_is_a_quadratic_functions_own_change(length):
    matrix, gradient = torch.tensor([[2.0, 1.0], [1.0, -3.0]]).double(), torch.tensor([0.7, -0.4]).double()
    point, direction = torch.tensor([1.0, 2.0]).double(), torch.tensor([-0.5, 0.9]).double()

    def value(theta):
        return gradient @ theta + theta @ matrix @ theta / 2

    model = QuadraticModel(float((gradient + matrix @ point) @ direction), float(direction @ matrix @ direction))
    expected = value(point + length * direction) - value(point)
    assert model.change(length) == pytest.approx(float(expected), rel=1e-12, abs=1e-15)


def test_the_error_of_a_cubic_term_falls_with_the_length():
    # f = -α + α²/2 + α³: E = α³ / |−α + α²/2| halves, at least nearly four times, where α does.
    def error(length):
        return taylor_error(MODEL.change(length), MODEL.change(length) + length**3, 0.0)

    assert error(1e-2) == pytest.approx(1e-4 / 0.995, rel=1e-9)
    assert 3.9 < error(2e-3) / error(1e-3) < 4.1


@pytest.mark.parametrize(
    ("predicted", "actual", "rounding", "error"),
    [
        pytest.param(-1.0, -1.0, 0.0, 0.0, id="exact"),
        pytest.param(-1.0, -0.7, 0.0, 0.3, id="less"),
        pytest.param(-1.0, -1.3, 0.0, 0.3, id="more"),
        pytest.param(-1.0, 1.0, 0.0, 2.0, id="ascent"),
        pytest.param(-1e-9, 1e-9, 1e-8, 0.0, id="rounding"),
        pytest.param(-1e-9, 1e-9, 1e-10, 2.0, id="beyond rounding"),
        pytest.param(0.0, 0.0, 0.0, 0.0, id="nothing"),
        pytest.param(0.0, 1e-3, 0.0, math.inf, id="nothing predicted"),
        pytest.param(-1.0, math.nan, 0.0, math.nan, id="no number"),
    ],
)
def test_the_taylor_error_is_relative_to_the_prediction(predicted, actual, rounding, error):
    assert taylor_error(predicted, actual, rounding) == pytest.approx(error, nan_ok=True)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_rounding_is_a_few_last_digits_of_the_value(dtype):
    value = torch.tensor(-3.0, dtype=dtype)
    rounding = rounding_of(float(value), dtype)
    assert 0 < rounding < 50 * float(value - torch.nextafter(value, value * 2))
    assert value + rounding / 2 != value


# Taylor control

# share of the predicted change, longest: α taken, α kept for the next step, retries
CASES = [
    pytest.param(1.0, 1.0, 0.5, 1.0, 0, id="agreement grows"),
    pytest.param(0.95, 1.0, 0.5, 1.0, 0, id="near agreement grows"),
    pytest.param(0.85, 1.0, 0.5, 0.5, 0, id="fair agreement stays"),
    pytest.param(1.4, 1.0, 0.5, 0.5, 0, id="more decrease than predicted stays"),
    pytest.param(0.55, 1.0, 0.5, 0.5, 0, id="just accepted"),
    pytest.param(0.45, 1.0, 0.0, 0.03125, 3, id="never accepted"),
    pytest.param(1.6, 1.0, 0.0, 0.03125, 3, id="never accepted, though it decreases"),
    pytest.param(-1.0, 1.0, 0.0, 0.03125, 3, id="ascent"),
    pytest.param(math.nan, 1.0, 0.0, 0.03125, 3, id="no number"),
    pytest.param(-math.inf, 1.0, 0.0, 0.03125, 3, id="no bound"),
    pytest.param(1.0, 0.25, 0.25, 0.5, 0, id="limited from outside, nothing is learnt of longer ones"),
]


@pytest.mark.parametrize(("fraction", "longest", "taken", "kept", "retries"), CASES)
def test_the_length_follows_the_taylor_error(fraction, longest, taken, kept, retries):
    found = control(share(fraction), longest=longest)
    assert (found.length, found.next_length, found.retries) == (taken, kept, retries)


def test_a_length_shrinks_until_the_expansion_holds_and_stays_there():
    # A cubic term of 3 α³: E is 1 at α = 1/2 and 3/14 at 1/4, by hand.
    change = Measured(lambda length: MODEL.change(length) + 3 * length**3)
    found = control(change)
    assert change.lengths == [0.5, 0.25]
    assert (found.length, found.next_length, found.retries) == (0.25, 0.25, 1)
    assert found.error == pytest.approx(3 / 14)
    assert (found.predicted, found.actual) == pytest.approx((-7 / 32, -7 / 32 + 3 / 64))


def test_a_length_of_its_own_grows_back_to_the_largest():
    lengths = [0.1]
    for _ in range(6):
        lengths.append(control(share(1.0), length=lengths[-1]).next_length)
    assert lengths == pytest.approx([0.1, 0.2, 0.4, 0.8, 1.0, 1.0, 1.0])


def test_a_length_beyond_the_models_minimum_is_too_long_even_if_it_agrees():
    # At α = 3 the model rises by 3/2, and so does the function.
    found = control(share(1.0), length=3.0, longest=3.0, largest=3.0)
    assert (found.length, found.retries) == (1.5, 1)


@pytest.mark.parametrize("fraction", [1.0, -1.0, 30.0])
def test_changes_below_the_last_digits_are_agreement_that_teaches_nothing(fraction):
    found = control(share(fraction), rounding=100.0)
    assert (found.length, found.next_length, found.error, found.retries) == (0.5, 0.5, 0.0, 0)


def test_a_function_that_does_not_change_where_it_should_is_no_agreement():
    assert control(lambda length: 0.0, rounding=1e-3).length == 0


@pytest.mark.parametrize("retries", [0, 1, 4])
def test_it_tries_as_often_as_allowed(retries):
    change = Measured(share(-1.0))
    found = control(change, rule=replace(RULE, retries=retries))
    assert change.lengths == [0.5**k for k in range(1, retries + 2)]
    assert found.next_length == 0.5 ** (retries + 2)


def test_the_length_is_not_shrunk_away():
    assert control(share(-1.0), length=2 * SMALLEST_LENGTH).next_length == SMALLEST_LENGTH


def test_that_control_notices_a_model_without_its_factor_of_a_half():
    wrong = QuadraticModel(MODEL.slope, 2 * MODEL.curvature)
    found = control(share(1.0), model=wrong)
    assert found.error == pytest.approx(0.5)
    assert found.next_length < control(share(1.0)).next_length


# Armijo


def search(change, *, slope=-1.0, length=1.0, sufficient_decrease=1e-4, shrink=0.5, retries=5, rounding=0.0):
    return backtrack(
        change,
        slope,
        length=length,
        sufficient_decrease=sufficient_decrease,
        shrink=shrink,
        retries=retries,
        rounding=rounding,
    )


# f(α) − f(0), c: the length by hand
ARMIJO = [
    pytest.param(lambda a: -a, 1e-4, 1.0, id="linear"),
    pytest.param(lambda a: -a + a * a, 1e-4, 0.5, id="no decrease at 1"),
    pytest.param(lambda a: -a + a * a, 0.5, 0.5, id="just enough decrease"),
    pytest.param(lambda a: -a + a * a, 0.51, 0.25, id="not quite enough decrease"),
    pytest.param(lambda a: -a + 7 * a * a, 1e-4, 0.125, id="sharp"),
    pytest.param(lambda a: math.inf if a > 0.3 else -a, 1e-4, 0.25, id="no bound"),
    pytest.param(lambda a: math.nan if a > 0.3 else -a, 1e-4, 0.25, id="no number"),
    pytest.param(lambda a: a, 1e-4, 0.0, id="ascent"),
]


@pytest.mark.parametrize(("change", "enough", "length"), ARMIJO)
def test_the_first_length_with_enough_decrease_is_taken(change, enough, length):
    measured = Measured(change)
    found = search(measured, sufficient_decrease=enough)
    assert found.length == length
    assert measured.lengths == [0.5**k for k in range(found.retries + 1)]
    assert found.actual == change(measured.lengths[-1]) or length == 0


def test_a_length_that_is_taken_satisfies_the_condition_and_the_one_before_does_not():
    def change(length):
        return math.cos(3 * length) - 1 - math.sin(length)

    found = search(change, sufficient_decrease=0.9, shrink=0.8, retries=40)
    assert change(found.length) <= 0.9 * found.length * -1.0
    assert found.retries == 0 or change(found.length / 0.8) > 0.9 * found.length / 0.8 * -1.0


def test_rounding_counts_as_no_change():
    assert search(lambda length: 1e-12, slope=-1e-13, rounding=1e-11).length == 1.0
    assert search(lambda length: 1e-12, slope=-1e-13).length == 0.0


def test_that_condition_notices_a_slope_of_another_sign():
    assert search(lambda length: length / 2, slope=1.0, sufficient_decrease=0.6).length == 1.0
    assert search(lambda length: length / 2, slope=-1.0, sufficient_decrease=0.6).length == 0.0
