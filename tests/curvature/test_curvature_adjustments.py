"""Newton directions are those of a dense eigendecomposition; the adjustments do what their names say."""

import math
from functools import cache

import pytest
import torch
from curvature_cases import Problem, problem, relative_error
from torch import nn
from torch.nn import functional

from secondorder.curvature import ADJUSTMENTS
from secondorder.curvature.adjustments import divide, divisor, flat
from secondorder.errors import ConfigurationError

DESCENDING = [name for name in ADJUSTMENTS if name != "newton"]
MODELS = ("tanh", "one layer without bias", "unused parameters", "two convolutions", "recurrent", "frozen weight")


@cache
def case(model, batch=3):
    return problem(model, batch=batch)


@cache
def exact(model, batch=3, coupling="full", curvature="hessian"):
    return case(model, batch).exact(coupling, curvature)


def numbers(*values):
    return torch.tensor(values, dtype=torch.float64)


# What an eigenvalue is divided by.


@pytest.mark.parametrize(
    ("adjustment", "expected"),
    [
        ("newton", [-3.0, 0.0, 4.0]),
        ("absolute", [3.0, 0.0, 4.0]),
        ("positive", [0.0, 0.0, 4.0]),
        # σ = (9 + 16) / (3 + 4) = 25/7: 3 / (1 + 21/25) and 4 (1 + 28/25).
        ("flat", [75 / 46, 0.0, 212 / 25]),
    ],
)
def test_an_adjustment_has_the_values_of_its_formula(adjustment, expected):
    found = divisor(numbers(-3, 0, 4), adjustment, 0.5, 0.25)
    torch.testing.assert_close(found, numbers(*expected) + 0.75)


def test_the_adjustments_are_these():
    assert ADJUSTMENTS == ("newton", "absolute", "positive", "flat")


@pytest.mark.parametrize("factor", [1e-30, 1e-25, 1e-10, 1e10])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
def test_flat_scales_with_the_eigenvalues(factor, dtype):
    values = torch.tensor([-3.0, -0.1, 0.5, 4.0], dtype=dtype)
    torch.testing.assert_close(flat(factor * values) / factor, flat(values))


@pytest.mark.parametrize("zeros", [1, 100])
def test_flat_is_the_same_however_many_zeros_there_are(zeros):
    values = numbers(-3, -0.1, 0.5, 4)
    padding = torch.zeros(zeros, dtype=torch.float64)
    torch.testing.assert_close(flat(torch.cat([values, padding])), torch.cat([flat(values), padding]))


@pytest.mark.parametrize("values", [[], [0.0], [0.0, 0.0]], ids=str)
def test_flat_of_nothing_is_nothing(values):
    assert flat(torch.tensor(values)).tolist() == values


def test_flat_shortens_sharp_steps_and_lengthens_those_out_of_a_saddle():
    values = numbers(-4, -1, -0.01, 0.01, 1, 4)
    assert torch.all(flat(values)[:3] < values[:3].abs())
    assert torch.all(flat(values)[3:] > values[3:])


def test_flat_rows_do_not_see_each_other():
    rows = torch.stack([numbers(-3, 0.5, 4), 1e6 * numbers(1, 2, 3)])
    torch.testing.assert_close(flat(rows), torch.stack([flat(row) for row in rows]))


@pytest.mark.parametrize("adjustment", ["", "Newton", None, "max"])
def test_an_unknown_adjustment_is_refused_with_the_known_ones(adjustment):
    with pytest.raises(ConfigurationError, match=r"there are newton, absolute, positive, flat"):
        exact("tanh").newton_direction(0.1, adjustment)


@pytest.mark.parametrize("value", [-1, -1e-30, math.nan, math.inf, "0.1", None])
@pytest.mark.parametrize("name", ["damping", "weight_decay"])
def test_what_is_no_finite_number_of_at_least_0_is_refused(name, value):
    with pytest.raises(ConfigurationError, match=rf"{name} is .*; it must be a finite number, at least 0"):
        exact("tanh").newton_direction(**{"damping": 0.1, name: value})


# Division.


def test_what_is_zero_up_to_rounding_is_not_divided_by():
    assert divide(numbers(1, 1, 1), numbers(1e-17, 0, 2)).tolist() == [0, 0, 0.5]


def test_a_small_divisor_that_damping_alone_makes_is_divided_by():
    divisors = torch.cat([torch.full((3000,), 1e-3), torch.tensor([100.0])])
    assert divide(torch.ones(3001), divisors, 1e-3)[0] == pytest.approx(1000)


def test_a_divisor_that_cancels_to_rounding_is_not_divided_by():
    assert divide(numbers(1, 1), numbers(1e-18, 1), 0.1).tolist() == [0, 1]


def test_nothing_is_divided_by_nothing():
    assert divide(torch.zeros(0), torch.zeros(0)).shape == (0,)


# Directions against a dense eigendecomposition.


def adjusted(values, adjustment):
    """The adjustments, written again."""
    if adjustment == "newton":
        return values
    if adjustment == "absolute":
        return values.abs()
    if adjustment == "positive":
        return torch.maximum(values, torch.zeros_like(values))
    centre = (values**2).sum() / values.abs().sum()
    grown = values.abs() * (1 + values.abs() / centre)
    return torch.where(values < 0, values.abs() ** 2 / grown, grown) if centre > 0 else values


def dense_direction(matrix, gradient, theta, adjustment, damping, decay, cut=1e-10):
    """−Q φ(Λ)⁻¹ Qᵀ (g + λθ) of a dense matrix, the pseudo-inverse where φ is 0."""
    values, vectors = torch.linalg.eigh(matrix)
    values = torch.where(values.abs() < cut * values.abs().max(), 0, values)
    divisors = adjusted(values, adjustment) + damping + decay
    inverse = torch.where(divisors == 0, 0, 1 / torch.where(divisors == 0, 1, divisors))
    return -vectors @ (inverse * (vectors.T @ (gradient + decay * theta)))


@pytest.mark.parametrize(("damping", "decay"), [(0.1, 0.0), (0.0, 0.3), (1e-3, 0.05), (10.0, 2.0)])
@pytest.mark.parametrize("adjustment", ADJUSTMENTS)
@pytest.mark.parametrize("model", MODELS)
def test_a_direction_is_that_of_the_dense_eigendecomposition(model, adjustment, damping, decay):
    given = case(model)
    expected = dense_direction(given.hessian, given.gradient, given.theta, adjustment, damping, decay)
    found = exact(model).newton_direction(damping, adjustment, decay)
    assert relative_error(found, expected) < 1e-10


@pytest.mark.parametrize("curvature", ["hessian", "ggn"])
@pytest.mark.parametrize("coupling", ["full", "layerwise"])
@pytest.mark.parametrize("adjustment", ADJUSTMENTS)
def test_a_direction_belongs_to_its_coupling_and_curvature(adjustment, coupling, curvature):
    given = case("tanh")
    matrix = given.truth(coupling, curvature)
    expected = dense_direction(matrix, given.gradient, given.theta, adjustment, 0.1, 0.2)
    found = exact("tanh", 3, coupling, curvature).newton_direction(0.1, adjustment, 0.2)
    assert relative_error(found, expected) < 1e-10


@pytest.mark.parametrize("decay", [0.0, 0.2])
@pytest.mark.parametrize("adjustment", ADJUSTMENTS)
@pytest.mark.parametrize("model", MODELS)
def test_a_gradient_from_outside_is_divided_by_damping_outside_of_the_span(model, adjustment, decay):
    given = case(model, 1)
    gradient = torch.randn(len(given.theta), generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    expected = dense_direction(given.hessian, gradient, given.theta, adjustment, 0.1, decay)
    found = exact(model, 1).newton_direction(0.1, adjustment, decay, gradient)
    assert relative_error(found, expected) < 1e-10


@pytest.mark.parametrize("adjustment", ["newton", "absolute", "flat"])
@pytest.mark.parametrize("outside", [False, True])
@pytest.mark.parametrize("model", ["tanh", "one layer without bias", "unused parameters"])
def test_without_damping_and_decay_it_is_the_pseudo_inverse(model, adjustment, outside):
    given = case(model)
    generator = torch.Generator().manual_seed(5)
    gradient = torch.randn(len(given.theta), generator=generator, dtype=torch.float64) if outside else given.gradient
    expected = dense_direction(given.hessian, gradient, given.theta, adjustment, 0.0, 0.0)
    found = exact(model).newton_direction(0.0, adjustment, gradient=gradient if outside else None)
    assert relative_error(found, expected) < 1e-8


def test_plain_newton_solves_a_quadratic_at_once():
    linear = problem("one layer", "squared error", 16)
    there = linear.at(linear.theta + linear.exact().newton_direction(0.0))
    assert there.gradient.abs().max() < 1e-13 < linear.gradient.abs().max()


@pytest.mark.parametrize("adjustment", DESCENDING)
def test_a_flat_loss_under_decay_shrinks_the_parameters(adjustment):
    given = case("tanh")
    still = Problem(given.model, lambda outputs, _: (0 * outputs).sum(), given.inputs, given.targets)
    found = still.exact().newton_direction(0.3, adjustment, 0.2)
    torch.testing.assert_close(found, -0.2 / 0.5 * given.theta)


@pytest.mark.parametrize("adjustment", DESCENDING)
@pytest.mark.parametrize("damping", [1e-4, 1e-2, 1.0])
def test_a_float32_direction_is_right_to_its_digits_and_damping(adjustment, damping):
    given = case("tanh", 16)
    rounded = problem("tanh", batch=16, dtype=torch.float32).exact().newton_direction(damping, adjustment)
    expected = dense_direction(given.hessian, given.gradient, given.theta, adjustment, damping, 0.0)
    # A direction amplifies the gradient's rounding by the largest divisor over the smallest.
    largest = float(torch.linalg.eigvalsh(given.hessian).abs().max())
    assert relative_error(rounded.double(), expected) < 1e-5 * (1 + largest / damping)


def test_small_damping_in_float32_still_moves_along_flat_directions():
    # 492 coordinates and an eigenvalue of 300: rounding times their product is larger than the damping.
    model = nn.Linear(40, 12)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        model.weight.zero_()
        model.bias.zero_()
    inputs = torch.randn(60, 40, generator=generator)
    inputs[:, 1:] *= 0.003
    inputs[:, 0] *= 40
    targets = torch.randn(60, 12, generator=generator)

    def direction(dtype):
        given = Problem(model.to(dtype), functional.mse_loss, inputs.to(dtype), targets.to(dtype))
        return given.exact().newton_direction(1e-3, "absolute").double()

    single = direction(torch.float32)
    assert relative_error(single, direction(torch.float64)) < 1e-2


# Up and down.


@pytest.mark.parametrize("damping", [0.0, 1e-6, 0.1, 5.0])
@pytest.mark.parametrize("adjustment", DESCENDING)
@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("seed", range(3))
def test_adjusted_directions_never_ascend(model, adjustment, damping, seed):
    given = case(model)
    generator = torch.Generator().manual_seed(seed)
    gradient = torch.randn(len(given.theta), generator=generator, dtype=torch.float64)
    assert gradient @ exact(model).newton_direction(damping, adjustment, gradient=gradient) <= 0


@pytest.mark.parametrize("adjustment", DESCENDING)
@pytest.mark.parametrize("model", MODELS)
def test_no_sample_has_an_adjusted_direction_that_ascends(model, adjustment):
    assert torch.all(case(model).per_sample().directional_derivatives(0.1, adjustment) <= 0)


def saddle(samples=1):
    """L = (a b − 1)² at a = b = 0.1: by hand g = −0.198 (1, 1) and H (1, 1) = −1.94 (1, 1)."""
    model = nn.Sequential(nn.Linear(1, 1, bias=False), nn.Linear(1, 1, bias=False)).double()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(0.1)
    ones = torch.ones(samples, 1, dtype=torch.float64)
    return Problem(model, functional.mse_loss, ones, ones)


def test_at_a_saddle_plain_newton_goes_up_to_it():
    torch.testing.assert_close(saddle().exact().newton_direction(0.0), numbers(-1, -1) * 0.198 / 1.94)
    assert saddle().gradient @ saddle().exact().newton_direction(0.0) > 0


@pytest.mark.parametrize("adjustment", DESCENDING)
def test_at_a_saddle_adjusted_directions_descend(adjustment):
    assert saddle().gradient @ saddle().exact().newton_direction(1e-6, adjustment) < 0


def test_samples_at_a_saddle_ascend_with_plain_newton():
    derivatives = saddle(samples=2).per_sample().directional_derivatives(0.0, "newton")
    torch.testing.assert_close(derivatives, numbers(1, 1) * 2 * 0.198**2 / 1.94)


@pytest.mark.parametrize("adjustment", ADJUSTMENTS)
def test_a_wrong_spectrum_gives_a_direction_that_the_comparison_notices(adjustment):
    given = case("tanh")
    expected = dense_direction(given.hessian, given.gradient, given.theta, adjustment, 0.1, 0.0)
    layerwise = exact("tanh", 3, "layerwise").newton_direction(0.1, adjustment)
    assert relative_error(layerwise, expected) > 1e-3
