"""Power iteration finds the eigenvalue of largest magnitude with a true residual, and says when it does not."""

import math

import pytest
import torch

from secondorder.curvature.power_iteration import power_iteration
from secondorder.errors import InputError

SIZE = 40
DIRECTIONS = torch.linalg.qr(torch.randn(SIZE, SIZE, dtype=torch.float64, generator=torch.Generator().manual_seed(0))).Q
START = torch.randn(SIZE, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def rotated(*outermost):
    """A symmetric matrix with these eigenvalues and others from -1 to 1, in random directions."""
    others = torch.linspace(-1, 1, SIZE - len(outermost), dtype=torch.float64)
    values = torch.cat([torch.tensor(outermost, dtype=torch.float64), others])
    matrix = DIRECTIONS @ torch.diag(values) @ DIRECTIONS.T
    return (matrix + matrix.T) / 2


def run(matrix, products=500, tolerance=1e-10, start=START):
    return power_iteration(lambda vector: matrix @ vector, start, products, tolerance)


@pytest.mark.parametrize(
    ("outermost", "expected"),
    [
        pytest.param((3,), 3, id="one outlier"),
        pytest.param((-3, 2), -3, id="the largest magnitude is negative"),
        pytest.param((1e12,), 1e12, id="large"),
        pytest.param((5, 5, 5), 5, id="three times"),
    ],
)
def test_it_finds_the_eigenvalue_of_largest_magnitude(outermost, expected):
    found = run(rotated(*outermost))
    assert found.converged
    assert found.value == pytest.approx(expected, rel=1e-12)
    assert float(found.vector.norm()) == pytest.approx(1, rel=1e-12)


def test_its_vector_is_the_eigenvector():
    assert abs(float(run(rotated(3)).vector @ DIRECTIONS[:, 0])) == pytest.approx(1, rel=1e-12)


@pytest.mark.parametrize("products", [1, 5, 500])
def test_the_residual_is_true(products):
    matrix = rotated(-3, 2)
    found = run(matrix, products)
    expected = float((matrix @ found.vector - found.value * found.vector).norm())
    assert found.residual == pytest.approx(expected, abs=1e-14)


def test_the_error_of_the_vector_shrinks_by_the_ratio_of_the_eigenvalues():
    residuals = [run(rotated(3, 2), products, tolerance=1e-300).residual for products in (20, 21)]
    assert residuals[1] / residuals[0] == pytest.approx(2 / 3, rel=1e-3)


@pytest.mark.parametrize("products", [1, 7])
def test_it_spends_no_more_products_than_it_may(products):
    asked = []
    found = power_iteration(lambda vector: asked.append(vector) or rotated(3) @ vector, START, products, 1e-14)
    assert (len(asked), found.products, found.converged) == (products, products, False)


def test_it_ends_as_soon_as_it_has_converged():
    found = run(rotated(3), start=DIRECTIONS[:, 0])
    assert (found.products, found.converged) == (1, True)


def test_two_largest_of_different_signs_do_not_converge():
    assert not run(rotated(3, -3), products=2000).converged


def test_the_zero_matrix_has_the_value_zero():
    found = run(torch.zeros(SIZE, SIZE, dtype=torch.float64))
    assert (found.value, found.residual, found.converged) == (0, 0, True)


def test_products_that_are_no_numbers_do_not_converge():
    found = run(torch.full((SIZE, SIZE), torch.nan, dtype=torch.float64))
    assert math.isnan(found.value)
    assert not found.converged


def test_single_precision_stays_single_precision():
    found = run(rotated(3).float(), tolerance=1e-5, start=START.float())
    assert found.vector.dtype == torch.float32
    assert found.value == pytest.approx(3, rel=1e-6)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        pytest.param({"start": 0 * START}, "length 0", id="no direction"),
        pytest.param({"start": torch.nan * START}, "length nan", id="start not finite"),
        pytest.param({"products": 0}, "products is 0", id="no product"),
    ],
)
def test_bad_input_is_refused(change, message):
    with pytest.raises(InputError, match=message):
        run(rotated(3), **change)
