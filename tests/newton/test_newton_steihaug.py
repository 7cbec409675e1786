"""Steihaug's direction minimises the model within a region; the radius follows the textbook's rule."""

import math

import pytest
import torch
from scipy.optimize import brentq

from secondorder.errors import InputError
from secondorder.newton.conjugate_gradients import conjugate_gradients
from secondorder.newton.krylov_end import KrylovEnd
from secondorder.newton.steihaug import length_to_boundary, next_radius, steihaug


def vector(*values):
    return torch.tensor(values, dtype=torch.float64)


def solve(matrix, gradient, radius, steps=50, tolerance=1e-12):
    return steihaug(lambda v: matrix @ v, gradient, radius=radius, steps=steps, tolerance=tolerance)


def system(eigenvalues):
    generator = torch.Generator().manual_seed(0)
    size = len(eigenvalues)
    vectors = torch.linalg.qr(torch.randn(size, size, generator=generator, dtype=torch.float64)).Q
    return vectors * vector(*eigenvalues) @ vectors.T, torch.randn(size, generator=generator, dtype=torch.float64)


POSITIVE, INDEFINITE = (0.5, 1.0, 1.7, 3.0, 4.0), (-1.0, 0.3, 1.7, 3.0, 4.0)


# By hand: along the first direction, and around a corner.
BY_HAND = [
    pytest.param((2.0, 1.0), (-2.0, 0.0), 5.0, (1.0, 0.0), KrylovEnd.CONVERGED, id="minimum inside"),
    pytest.param((2.0, 1.0), (-2.0, 0.0), 0.25, (0.25, 0.0), KrylovEnd.BOUNDARY, id="minimum outside"),
    pytest.param((-1.0, 1.0), (-2.0, 0.0), 3.0, (3.0, 0.0), KrylovEnd.DISTURBED, id="negative curvature"),
    pytest.param((0.0, 1.0), (-2.0, 0.0), 3.0, (3.0, 0.0), KrylovEnd.DISTURBED, id="no curvature"),
    # p = (2, 1) with α = 5/9 to (10/9, 5/9), of length 1.242; then p = (-10, 40)/81, whose end is (1, 1).
    pytest.param((2.0, 1.0), (-2.0, -1.0), 2.0, (1.0, 1.0), KrylovEnd.CONVERGED, id="second step inside"),
    # Half of that second step ends at (19, 14)/18.
    pytest.param(
        (2.0, 1.0),
        (-2.0, -1.0),
        math.sqrt(557) / 18,
        (19 / 18, 14 / 18),
        KrylovEnd.BOUNDARY,
        id="second step leaves",
    ),
    pytest.param(
        (2.0, 1.0),
        (-2.0, -1.0),
        math.sqrt(1.5),
        (math.sqrt(1.5) * 2 / math.sqrt(5), math.sqrt(1.5) / math.sqrt(5)),
        KrylovEnd.BOUNDARY,
        id="first step leaves",
    ),
]


@pytest.mark.parametrize(("diagonal", "gradient", "radius", "direction", "end"), BY_HAND)
def test_the_direction_is_that_by_hand(diagonal, gradient, radius, direction, end):
    found = solve(torch.diag(vector(*diagonal)), vector(*gradient), radius)
    torch.testing.assert_close(found.direction, vector(*direction))
    assert found.end is end


def test_a_large_region_has_the_dense_solution():
    matrix, gradient = system(POSITIVE)
    found = solve(matrix, gradient, 1e3)
    torch.testing.assert_close(found.direction, -torch.linalg.solve(matrix, gradient), rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("steps", [1, 2, 3])
def test_iterates_within_the_region_are_those_of_conjugate_gradients(steps):
    matrix, gradient = system(POSITIVE)
    plain = conjugate_gradients(lambda v: matrix @ v, gradient, steps=steps, tolerance=1e-12, curvature_tolerance=1e-6)
    assert torch.equal(solve(matrix, gradient, 1e3, steps=steps).direction, plain.direction)


@pytest.mark.parametrize("radius", [1e-3, 0.1, 0.5, 1.0])
@pytest.mark.parametrize("eigenvalues", [POSITIVE, INDEFINITE], ids=["definite", "indefinite"])
def test_it_lies_between_the_cauchy_point_and_the_best_point_of_the_region(eigenvalues, radius):
    matrix, gradient = system(eigenvalues)

    def model(d):
        return float(gradient @ d + d @ matrix @ d / 2)

    found = solve(matrix, gradient, radius)
    curvature, length = float(gradient @ matrix @ gradient), float(gradient.norm())
    cauchy = -min(1.0, length**3 / (radius * curvature)) * radius / length * gradient
    best = best_point(matrix, gradient, radius)
    assert model(best) - 1e-12 <= model(found.direction) <= model(cauchy) + 1e-14
    assert model(best) < model(cauchy)
    assert found.direction.norm() <= radius * (1 + 1e-12)


def best_point(matrix, gradient, radius):
    """d = −(H + σ I)⁻¹ g of length Δ (Nocedal & Wright 2006, theorem 4.1); the examples have their best there."""
    values, vectors = torch.linalg.eigh(matrix)

    def point(sigma):
        return -vectors @ (vectors.T @ gradient / (values + sigma))

    sigma = brentq(lambda s: float(point(s).norm()) - radius, max(0.0, -float(values[0])) + 1e-12, 1e6, xtol=1e-14)
    return point(sigma)


@pytest.mark.parametrize("radius", [0.1, 0.9, 3.0, 1e3])
@pytest.mark.parametrize("eigenvalues", [POSITIVE, INDEFINITE], ids=["definite", "indefinite"])
def test_the_residual_is_that_of_the_direction(eigenvalues, radius):
    matrix, gradient = system(eigenvalues)
    found = solve(matrix, gradient, radius)
    torch.testing.assert_close(found.residual, -gradient - matrix @ found.direction, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("radius", [0.1, 1.0, 10.0])
def test_negative_curvature_leads_to_the_boundary(radius):
    matrix, gradient = system(INDEFINITE)
    found = solve(matrix, gradient, radius)
    assert found.end in (KrylovEnd.DISTURBED, KrylovEnd.BOUNDARY)
    assert float(found.direction.norm()) == pytest.approx(radius, rel=1e-12)


def test_that_comparison_notices_a_direction_that_ignores_the_radius():
    matrix, gradient = system(POSITIVE)
    assert solve(matrix, gradient, 1e3).direction.norm() > 1.01 * solve(matrix, gradient, 0.5).direction.norm()


@pytest.mark.parametrize(
    ("direction", "conjugate", "radius", "length"),
    [
        pytest.param((0.0, 0.0), (2.0, 0.0), 3.0, 1.5, id="from the centre"),
        pytest.param((1.0, 0.0), (0.0, 1.0), 2.0, math.sqrt(3), id="across"),
        pytest.param((1.0, 0.0), (1.0, 0.0), 1.0 + 1e-12, 1e-12, id="outwards, all but there"),
        pytest.param((1.0, 0.0), (-1.0, 0.0), 1.0, 2.0, id="through the region"),
        pytest.param((1.0, 0.0), (1.0, 0.0), 1.0 - 1e-16, 0.0, id="outside by rounding"),
    ],
)
def test_the_length_to_the_boundary_is_that_by_hand(direction, conjugate, radius, length):
    found = length_to_boundary(vector(*direction), vector(*conjugate), radius)
    assert found == pytest.approx(length, rel=1e-3, abs=1e-15)


# ratio, length, radius before, radius after
RADIUS = [
    pytest.param(1.0, 1.0, 1.0, 2.0, id="good, at the boundary"),
    pytest.param(1.0, 0.5, 1.0, 1.0, id="good, inside"),
    pytest.param(0.76, 1.0, 1.0, 2.0, id="just good enough to grow"),
    pytest.param(0.75, 1.0, 1.0, 1.0, id="not quite good enough to grow"),
    pytest.param(0.25, 1.0, 1.0, 1.0, id="just good enough to stay"),
    pytest.param(0.24, 1.0, 1.0, 0.25, id="bad"),
    pytest.param(-3.0, 0.5, 1.0, 0.25, id="ascent"),
    pytest.param(math.nan, 1.0, 1.0, 0.25, id="no number"),
    pytest.param(1.0, 4.0, 4.0, 5.0, id="the largest"),
    pytest.param(1.0, 1.0 - 1e-6, 1.0, 2.0, id="at the boundary up to rounding"),
]


@pytest.mark.parametrize(("ratio", "length", "before", "after"), RADIUS)
def test_the_radius_follows_the_ratio(ratio, length, before, after):
    assert next_radius(before, ratio, length, largest=5.0) == after


def test_a_gradient_of_zero_has_no_direction():
    found = solve(torch.eye(2).double(), vector(0.0, 0.0), 1.0)
    assert (found.end, found.products) == (KrylovEnd.ZERO_GRADIENT, 0)


@pytest.mark.parametrize("where", ["gradient", "matrix"])
def test_what_is_not_finite_makes_a_direction_of_nan(where):
    matrix, gradient = system(POSITIVE)
    {"gradient": gradient, "matrix": matrix}[where].view(-1)[0] = math.nan
    found = solve(matrix, gradient, 1.0)
    assert found.end is KrylovEnd.NOT_FINITE
    assert torch.isnan(found.direction).all()


@pytest.mark.parametrize("radius", [0.0, -1.0, math.nan])
def test_a_radius_that_is_not_positive_is_refused(radius):
    with pytest.raises(InputError, match=r"radius is .*; a trust region needs a positive one"):
        solve(torch.eye(2).double(), vector(1.0, 0.0), radius)
