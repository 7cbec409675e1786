"""Preconditioned conjugate gradients from any start are SciPy's, and end where whoever watches them says so."""

import numpy as np
import pytest
import torch
from scipy.sparse.linalg import cg

from secondorder.errors import InputError
from secondorder.newton.conjugate_gradients import conjugate_gradients
from secondorder.newton.krylov_end import KrylovEnd
from secondorder.newton.preconditioner import diagonal_preconditioner
from secondorder.newton.relative_progress import RelativeProgress, has_stalled

SIZE = 12


def vector(*values):
    return torch.tensor(values, dtype=torch.float64)


def system():
    """A positive definite matrix whose diagonal says much about it, a gradient and a start."""
    generator = torch.Generator().manual_seed(0)
    scales = torch.logspace(-2, 2, SIZE, dtype=torch.float64).sqrt()
    square = torch.randn(SIZE, SIZE, generator=generator, dtype=torch.float64)
    matrix = (torch.eye(SIZE) + 0.1 * square @ square.T / SIZE) * scales * scales[:, None]
    return matrix, *torch.randn(2, SIZE, generator=generator, dtype=torch.float64)


def solve(matrix, gradient, **options):
    defaults = {"steps": 200, "tolerance": 1e-12, "curvature_tolerance": 0.0}
    return conjugate_gradients(lambda v: matrix @ v, gradient, **{**defaults, **options})


def of_diagonal(matrix, damping=1e-12, exponent=1.0):
    return diagonal_preconditioner(matrix.diagonal(), damping, exponent)


@pytest.mark.parametrize("with_start", [False, True], ids=["from zero", "from a start"])
@pytest.mark.parametrize("exponent", [0.0, 0.75, 1.0])
@pytest.mark.parametrize("steps", [1, 3, 6])
def test_each_iterate_is_scipys(steps, exponent, with_start):
    matrix, gradient, start = system()
    inverse = np.diag(matrix.diagonal().numpy() ** -exponent)
    first = start if with_start else None
    expected, _ = cg(
        matrix.numpy(), -gradient.numpy(), None if first is None else first.numpy(), rtol=0, maxiter=steps, M=inverse
    )
    found = solve(matrix, gradient, steps=steps, preconditioner=of_diagonal(matrix, exponent=exponent), start=first)
    np.testing.assert_allclose(found.direction.numpy(), expected, rtol=1e-8)
    torch.testing.assert_close(found.residual, -gradient - matrix @ found.direction, rtol=1e-8, atol=1e-9)
    assert found.products == steps + with_start


def test_that_comparison_notices_no_preconditioner():
    matrix, gradient, _ = system()
    plain = solve(matrix, gradient, steps=3).direction
    better = solve(matrix, gradient, steps=3, preconditioner=of_diagonal(matrix)).direction
    assert (plain - better).norm() > 1e-2 * better.norm()


def test_the_diagonal_makes_it_faster_and_leaves_the_solution():
    matrix, gradient, _ = system()
    plain, better = solve(matrix, gradient), solve(matrix, gradient, preconditioner=of_diagonal(matrix))
    for found in (plain, better):
        torch.testing.assert_close(found.direction, -torch.linalg.solve(matrix, gradient), rtol=1e-6, atol=1e-8)
    assert better.products < 0.7 * plain.products


def test_the_inverse_itself_is_there_in_one_product():
    matrix, gradient, _ = system()
    found = solve(matrix, gradient, tolerance=1e-9, preconditioner=lambda r: torch.linalg.solve(matrix, r))
    assert (found.products, found.end) == (1, KrylovEnd.CONVERGED)


def test_a_start_at_the_solution_takes_one_product_and_is_left_alone():
    matrix, gradient, _ = system()
    start = -torch.linalg.solve(matrix, gradient)
    before = start.clone()
    found = solve(matrix, gradient, tolerance=1e-9, start=start)
    assert (found.products, found.end) == (1, KrylovEnd.CONVERGED)
    assert torch.equal(start, before)


def test_disturbed_at_once_it_keeps_its_start():
    start = vector(0.5, 0.0)
    found = solve(torch.diag(vector(-1.0, -2.0)), vector(1.0, 1.0), start=start)
    assert found.end is KrylovEnd.DISTURBED
    assert torch.equal(found.direction, start)


def test_a_start_of_another_shape_is_refused():
    matrix, gradient, _ = system()
    with pytest.raises(InputError, match=r"start has shape \(3,\); it needs that of the gradient, \(12,\)"):
        solve(matrix, gradient, start=torch.zeros(3).double())


# Whoever watches


def test_iterates_are_numbered_and_know_the_models_change():
    matrix, gradient, start = system()
    seen = []

    def watch(iterate):
        seen.append((iterate.number, iterate.direction.clone(), iterate.change()))
        return iterate.number == 4

    found = solve(matrix, gradient, start=start, watch=watch)
    assert (found.end, found.products) == (KrylovEnd.CONVERGED, 5)
    assert [number for number, _, _ in seen] == [1, 2, 3, 4]
    for _, direction, change in seen:
        assert change == pytest.approx(float(gradient @ direction + direction @ matrix @ direction / 2), rel=1e-9)


def values(updates, rate):
    """φ = −1 − rate · i: relative progress over ten updates is 10 rate / (1 + rate i)."""
    return [-1.0 - rate * i for i in range(1, updates + 1)]


@pytest.mark.parametrize(
    ("changes", "share", "stalled"),
    [
        pytest.param(values(10, 0.0), 1e-3, False, id="not before k updates"),
        pytest.param(values(11, 0.0), 1e-3, True, id="after them"),
        pytest.param(values(11, 1e-2), 1e-3, False, id="progress"),
        pytest.param([-v for v in values(50, 0.0)], 1e-3, False, id="model above zero"),
        # 100 updates are looked at over 10, 200 over 20: (φ_i − φ_{i−k}) / φ_i = 0.2 / 3 at i = 200.
        pytest.param(values(200, 1e-2), 0.2 / 3 / 20 * 1.001, True, id="a tenth of the updates"),
        pytest.param(values(200, 1e-2), 0.2 / 3 / 20 * 0.999, False, id="a tenth of the updates, just not"),
    ],
)
def test_progress_is_measured_as_the_paper_says(changes, share, stalled):
    assert has_stalled(changes, share) is stalled


def test_conjugate_gradients_end_without_progress():
    matrix, gradient, _ = system()
    found = solve(matrix, gradient, tolerance=0.0, watch=RelativeProgress(5e-4))
    assert (found.end, 10 < found.products < 60) == (KrylovEnd.CONVERGED, True)
    torch.testing.assert_close(found.direction, -torch.linalg.solve(matrix, gradient), rtol=1e-1, atol=1e-1)


# The preconditioner


def test_the_preconditioner_divides_by_a_power_of_the_damped_diagonal():
    found = diagonal_preconditioner(vector(0.0, 15.0), 1.0, 0.75)(vector(3.0, 8.0))
    torch.testing.assert_close(found, vector(3.0, 1.0))


@pytest.mark.parametrize(
    ("diagonal", "damping", "message"),
    [
        pytest.param((1.0, 2.0), 0.0, r"damping is 0\.0; .*above 0", id="no damping"),
        pytest.param((1.0, -2.0), 1.0, "negative entry -2; give squares", id="negative entry"),
    ],
)
def test_what_is_no_diagonal_of_a_definite_matrix_is_refused(diagonal, damping, message):
    with pytest.raises(InputError, match=message):
        diagonal_preconditioner(vector(*diagonal), damping, 0.75)
