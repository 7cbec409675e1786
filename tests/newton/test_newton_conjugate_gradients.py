"""Conjugate gradients solve what dense solves and SciPy solve, and end where a direction is disturbing."""

import math

import numpy as np
import pytest
import torch
from scipy.sparse.linalg import cg

from secondorder.errors import InputError
from secondorder.newton.conjugate_gradients import conjugate_gradients
from secondorder.newton.krylov_end import KrylovEnd

DEVICES = [
    "cpu",
    pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="PyTorch sees no CUDA device")),
]
SIZE = 12
POSITIVE = torch.linspace(0.5, 4.0, SIZE, dtype=torch.float64)
INDEFINITE = torch.linspace(-1.0, 4.0, SIZE, dtype=torch.float64)
ONE_NEGATIVE = torch.cat([torch.tensor([-0.05]), torch.linspace(0.9, 4.0, SIZE - 1, dtype=torch.float64)])


def system(eigenvalues=POSITIVE, dtype=torch.float64):
    """A symmetric matrix of these eigenvalues, and a gradient with a part along each eigenvector."""
    generator = torch.Generator().manual_seed(0)
    square = torch.randn(len(eigenvalues), len(eigenvalues), generator=generator, dtype=torch.float64)
    vectors = torch.linalg.qr(square).Q
    gradient = torch.randn(len(eigenvalues), generator=generator, dtype=torch.float64)
    return (vectors * eigenvalues @ vectors.T).to(dtype), gradient.to(dtype)


def solve(matrix, gradient, *, products=None, **options):
    def product(vector):
        if products is not None:
            products.append(vector.clone())
        return matrix @ vector

    defaults = {"steps": 50, "tolerance": 1e-12, "curvature_tolerance": 1e-6}
    return conjugate_gradients(product, gradient, **{**defaults, **options})


def test_the_solution_is_that_of_a_dense_solve():
    matrix, gradient = system()
    found = solve(matrix, gradient)
    torch.testing.assert_close(found.direction, -torch.linalg.solve(matrix, gradient), rtol=1e-10, atol=1e-11)
    assert found.end is KrylovEnd.CONVERGED


@pytest.mark.parametrize("steps", [1, 2, 5])
def test_each_iterate_is_scipys(steps):
    matrix, gradient = system()
    expected, _ = cg(matrix.numpy(), -gradient.numpy(), rtol=0, atol=0, maxiter=steps)
    found = solve(matrix, gradient, steps=steps)
    np.testing.assert_allclose(found.direction.numpy(), expected, rtol=1e-10)
    assert (found.products, found.end) == (steps, KrylovEnd.CAPPED)


def test_the_first_two_iterates_are_those_by_hand():
    # H = diag(2, 1), g = (-2, -1): p = (2, 1), Hp = (4, 1), α = 5/9; then β = 4/81 and α = 9/10.
    matrix, gradient = torch.diag(torch.tensor([2.0, 1.0]).double()), torch.tensor([-2.0, -1.0]).double()
    expected = [[10 / 9, 5 / 9], [1.0, 1.0]]
    for steps, iterate in enumerate(expected, start=1):
        torch.testing.assert_close(solve(matrix, gradient, steps=steps).direction, torch.tensor(iterate).double())


@pytest.mark.parametrize("wrong", [0.99, -1.0])
def test_that_comparison_notices_another_matrix(wrong):
    matrix, gradient = system()
    other = solve(wrong * matrix, gradient).direction
    assert (other + torch.linalg.solve(matrix, gradient)).norm() > 1e-3 * other.norm()


@pytest.mark.parametrize(
    ("eigenvalues", "options"),
    [
        pytest.param(POSITIVE, {}, id="converged"),
        pytest.param(POSITIVE, {"steps": 3}, id="capped"),
        pytest.param(INDEFINITE, {}, id="disturbed"),
        pytest.param(-POSITIVE, {}, id="disturbed at once"),
        pytest.param(INDEFINITE, {"end_at_disturbance": False, "steps": 9}, id="on through disturbances"),
    ],
)
def test_the_residual_is_that_of_the_direction(eigenvalues, options):
    matrix, gradient = system(eigenvalues)
    found = solve(matrix, gradient, **options)
    torch.testing.assert_close(found.residual, -gradient - matrix @ found.direction, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("tolerance", [1e-1, 1e-4, 1e-8])
def test_it_ends_at_the_first_residual_below_the_tolerance(tolerance):
    matrix, gradient = system()
    found = solve(matrix, gradient, tolerance=tolerance)
    before = solve(matrix, gradient, tolerance=0, steps=found.products - 1)
    assert found.residual.norm() <= tolerance * gradient.norm() < before.residual.norm()


def test_the_extremes_of_curvature_are_those_of_the_conjugate_directions():
    matrix, gradient = system(INDEFINITE)
    seen = []
    found = solve(matrix, gradient, products=seen, end_at_disturbance=False, steps=7)
    quotients = [float(p @ matrix @ p / (p @ p)) for p in seen]
    assert (found.smallest_curvature, found.largest_curvature) == pytest.approx((min(quotients), max(quotients)))
    assert found.products == len(seen) == 7


# Disturbing directions


def test_it_ends_before_the_first_disturbing_direction():
    matrix, gradient = system(ONE_NEGATIVE)
    seen = []
    found = solve(matrix, gradient, products=seen)
    quotients = [float(p @ matrix @ p) for p in seen]
    assert all(quotient > 0 for quotient in quotients[:-1])
    assert quotients[-1] < 0
    assert found.end is KrylovEnd.DISTURBED
    expected = solve(matrix, gradient, steps=len(seen) - 1)
    assert torch.equal(found.direction, expected.direction)
    assert found.products == expected.products + 1 > 2


def test_it_has_the_steepest_descent_where_the_first_direction_is_disturbing():
    matrix, gradient = system(-POSITIVE)
    found = solve(matrix, gradient)
    assert torch.equal(found.direction, -gradient)
    assert (found.end, found.products) == (KrylovEnd.DISTURBED, 1)


@pytest.mark.parametrize("negative", [-1.0, -0.01])
def test_a_direction_that_ended_early_descends_and_one_that_went_on_may_ascend(negative):
    # By hand: g = (1, 1), H = diag(1, h) with h < 0; plain conjugate gradients end at the saddle, d = (-1, -1/h).
    matrix = torch.diag(torch.tensor([1.0, negative]).double())
    gradient = torch.tensor([1.0, 0.5]).double()
    early = solve(matrix, gradient)
    on = solve(matrix, gradient, end_at_disturbance=False, steps=2)
    assert gradient @ early.direction < 0
    torch.testing.assert_close(on.direction, torch.tensor([-1.0, -0.5 / negative]).double())
    assert on.end is KrylovEnd.CONVERGED


def test_going_on_solves_an_indefinite_system_as_plain_conjugate_gradients_do():
    matrix, gradient = system(INDEFINITE)
    found = solve(matrix, gradient, end_at_disturbance=False, tolerance=1e-9)
    torch.testing.assert_close(found.direction, -torch.linalg.solve(matrix, gradient), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("smallest", "end"),
    [
        pytest.param(1e-5, KrylovEnd.CONVERGED, id="small and real"),
        pytest.param(1e-8, KrylovEnd.DISTURBED, id="noise"),
        pytest.param(0.0, KrylovEnd.DISTURBED, id="none"),
    ],
)
@pytest.mark.parametrize("scale", [1e-10, 1.0, 1e10])
def test_noise_is_relative_to_the_largest_curvature(smallest, end, scale):
    matrix = scale * torch.diag(torch.tensor([1.0, smallest]).double())
    found = solve(matrix, torch.tensor([1.0, 1e-7]).double())
    assert found.end is end


@pytest.mark.parametrize("scale", [2.0**-20, 2.0**20])
def test_the_scale_of_the_matrix_scales_the_direction_alone(scale):
    matrix, gradient = system(INDEFINITE)
    found, scaled = solve(matrix, gradient), solve(scale * matrix, gradient)
    torch.testing.assert_close(scaled.direction * scale, found.direction, rtol=1e-12, atol=0)
    assert scaled.products == found.products


def test_curvature_of_zero_ends_even_plain_conjugate_gradients():
    found = solve(torch.zeros(3, 3), torch.ones(3), end_at_disturbance=False)
    assert found.end is KrylovEnd.DISTURBED
    assert torch.equal(found.direction, -torch.ones(3))


# Inputs at the edge


@pytest.mark.parametrize("size", [0.0, 1e-30])
def test_a_gradient_of_zero_has_no_direction(size):
    found = solve(torch.eye(3), torch.full((3,), size))
    assert found.end is KrylovEnd.ZERO_GRADIENT
    assert torch.equal(found.direction, torch.zeros(3))
    assert found.products == 0
    assert math.isnan(found.smallest_curvature)


@pytest.mark.parametrize("value", [math.nan, math.inf])
@pytest.mark.parametrize(
    ("where", "products"), [("gradient", 0), ("matrix", 1)], ids=["in the gradient", "in a product"]
)
def test_what_is_not_finite_makes_a_direction_of_nan(where, products, value):
    matrix, gradient = system()
    {"gradient": gradient, "matrix": matrix}[where].view(-1)[0] = value
    found = solve(matrix, gradient)
    assert (found.end, found.products) == (KrylovEnd.NOT_FINITE, products)
    assert torch.isnan(found.direction).all()


def test_the_gradient_is_left_alone():
    matrix, gradient = system()
    before = gradient.clone()
    solve(matrix, gradient)
    assert torch.equal(gradient, before)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_the_direction_stays_on_device_and_in_type(dtype, device):
    matrix, gradient = (tensor.to(device) for tensor in system(dtype=dtype))
    found = solve(matrix, gradient, tolerance=1e-5)
    assert (found.direction.dtype, found.direction.device) == (dtype, gradient.device)
    torch.testing.assert_close(found.direction, -torch.linalg.solve(matrix, gradient), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(
    ("gradient", "steps", "message"),
    [
        pytest.param(torch.ones(2, 2), 5, r"shape \(2, 2\); flatten it", id="no vector"),
        pytest.param(torch.ones(2), 0, "steps is 0; allow at least one product", id="no product"),
    ],
)
def test_what_it_cannot_start_from_is_refused(gradient, steps, message):
    with pytest.raises(InputError, match=message):
        solve(torch.eye(2), gradient, steps=steps)
