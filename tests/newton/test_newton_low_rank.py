"""The low-rank direction is the dense saddle-free one where all eigenpairs are known, and its formula where few are."""

import pytest
import torch
from quadratic_problem import rotated

from secondorder.curvature.eigenbasis import Eigenbasis, extreme, leading
from secondorder.curvature.lanczos import lanczos
from secondorder.errors import InputError
from secondorder.newton.low_rank import low_rank_direction, newton_inside

SPECTRA = {
    "indefinite": [-3.0, -0.2, 0.01, 0.5, 2.0, 10.0],
    "with a zero": [-4.0, -1.0, 0.0, 1e-3, 1.5, 3.0],
    "negative": [-5.0, -4.0, -3.0, -2.0, -1.0, -0.1],
    "ill-conditioned": [-1e4, 1e-3, 0.1, 1.0, 30.0, 1e6],
}
EVERY = pytest.mark.parametrize("spectrum", SPECTRA.values(), ids=SPECTRA)
DAMPING = 0.1


def vector(seed=1, size=6):
    return torch.randn(size, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def krylov(matrix, start, steps):
    return lanczos(lambda v: matrix @ v, start, steps)


def saddle_free(matrix, gradient, damping=DAMPING):
    """−(|H| + μ)⁻¹ g with |H| = √(H²) from dense eigenpairs, solved densely."""
    values, vectors = torch.linalg.eigh(matrix)
    absolute = vectors @ torch.diag(values.abs()) @ vectors.T
    return -torch.linalg.solve(absolute + damping * torch.eye(len(matrix), dtype=torch.float64), gradient)


def by_formula(matrix, gradient, count, damping=DAMPING):
    """The formula, one dense eigenvector at a time."""
    values, vectors = torch.linalg.eigh(matrix)
    chosen = values.abs().argsort(descending=True)[:count].tolist()
    scale = min(abs(float(values[i])) for i in chosen)
    direction, outside = torch.zeros_like(gradient), gradient.clone()
    for i in chosen:
        along = vectors[:, i] @ gradient
        direction -= along / (values[i].abs() + damping) * vectors[:, i]
        outside -= along * vectors[:, i]
    return direction - outside / (scale + damping)


def error(found, expected):
    return float((found - expected).norm() / expected.norm())


@EVERY
def test_with_all_eigenpairs_it_is_the_dense_saddle_free_solve(spectrum):
    matrix, gradient = rotated(spectrum), vector()
    basis = leading(krylov(matrix, gradient, 6), 6)
    assert error(low_rank_direction(basis, gradient, DAMPING), saddle_free(matrix, gradient)) < 1e-9


@EVERY
@pytest.mark.parametrize("count", [1, 3, 5])
def test_with_fewer_it_is_the_formula_with_dense_eigenpairs(spectrum, count):
    matrix, gradient = rotated(spectrum), vector()
    basis = leading(krylov(matrix, gradient, 6), count)
    assert error(low_rank_direction(basis, gradient, DAMPING), by_formula(matrix, gradient, count)) < 1e-9


FAULTS = {
    "signed curvature": lambda basis: Eigenbasis(basis.values.clamp(min=0), basis.vectors, basis.residuals),
    "one pair too few": lambda basis: Eigenbasis(basis.values[1:], basis.vectors[:, 1:], basis.residuals[1:]),
    "pairs mixed up": lambda basis: Eigenbasis(basis.values.flip(0), basis.vectors, basis.residuals),
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_that_check_notices(fault):
    matrix, gradient = rotated(SPECTRA["indefinite"]), vector()
    basis = fault(leading(krylov(matrix, gradient, 6), 3))
    assert error(low_rank_direction(basis, gradient, DAMPING), by_formula(matrix, gradient, 3)) > 1e-3


@EVERY
@pytest.mark.parametrize("steps", [1, 2, 4])
def test_it_descends_on_every_other_gradient_too(spectrum, steps):
    matrix = rotated(spectrum)
    basis = leading(krylov(matrix, vector(), steps), steps)
    for seed in range(2, 22):
        gradient = vector(seed)
        assert float(gradient @ low_rank_direction(basis, gradient, 1e-3)) < 0


def test_newton_with_signs_does_not_descend():
    matrix, gradient = rotated(SPECTRA["negative"]), vector()
    assert float(gradient @ -torch.linalg.solve(matrix, gradient)) > 0


def test_without_pairs_it_is_the_gradient_over_the_damping():
    gradient = vector()
    assert error(low_rank_direction(Eigenbasis.empty(gradient), gradient, 0.5), -2 * gradient) < 1e-15


@pytest.mark.parametrize("damping", [0.0, -1.0, float("nan")])
def test_a_damping_that_is_not_positive_is_refused(damping):
    with pytest.raises(InputError, match=r"damping is .*; give a positive one"):
        low_rank_direction(Eigenbasis.empty(vector()), vector(), damping)


def test_newton_takes_no_step_along_a_pair_without_curvature():
    basis = Eigenbasis(torch.tensor([0.0, 2.0]), torch.eye(3)[:, :2], torch.zeros(2))
    assert newton_inside(basis, torch.tensor([5.0, 4.0]), 0.0).tolist() == [0, -2, 0]


CHOICES = {
    "leading": (lambda basis: leading(basis, 3), [-3, 2, 10]),
    "largest": (lambda basis: extreme(basis, 2, 0), [2, 10]),
    "both ends": (lambda basis: extreme(basis, 1, 2), [-3, -0.2, 10]),
    "all of them once": (lambda basis: extreme(basis, 4, 4), SPECTRA["indefinite"]),
    "none": (lambda basis: extreme(basis, 0, 0), []),
}


@pytest.mark.parametrize(("choose", "expected"), CHOICES.values(), ids=CHOICES)
def test_the_chosen_pairs_are_eigenpairs(choose, expected):
    matrix = rotated(SPECTRA["indefinite"])
    basis = choose(krylov(matrix, vector(), 6))
    torch.testing.assert_close(basis.values, torch.tensor(expected, dtype=torch.float64), rtol=0, atol=1e-12)
    torch.testing.assert_close(matrix @ basis.vectors, basis.vectors * basis.values, rtol=0, atol=1e-12)


def test_products_that_are_not_finite_make_pairs_of_nan():
    basis = leading(lanczos(lambda v: v * torch.nan, vector(), 4), 2)
    assert all(part.isnan().all() for part in (basis.values, basis.vectors, basis.residuals))
