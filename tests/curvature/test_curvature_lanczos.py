"""The Lanczos basis is orthonormal, and its Ritz values are those of SciPy, with residuals that are true."""

import numpy as np
import pytest
import scipy.linalg
import scipy.sparse.linalg
import torch

from secondorder.curvature.lanczos import lanczos


def rotated(eigenvalues, seed=0):
    """A symmetric matrix with these eigenvalues in random directions."""
    generator = torch.Generator().manual_seed(seed)
    values = torch.as_tensor(eigenvalues, dtype=torch.float64)
    directions = torch.linalg.qr(torch.randn(len(values), len(values), dtype=torch.float64, generator=generator)).Q
    matrix = directions @ torch.diag(values) @ directions.T
    return (matrix + matrix.T) / 2


def start(size, seed=1):
    return torch.randn(size, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


SIZE = 100
MATRICES = {
    "spread": rotated(torch.linspace(-1, 3, SIZE)),
    "one outlier": rotated([*torch.linspace(0, 1, SIZE - 1), 1e10]),
    "outliers of both signs": rotated([-1e6, *torch.linspace(0, 1, SIZE - 3), 1e6, 1e7]),
    "half of it zeros": rotated([*torch.zeros(SIZE // 2), *torch.linspace(-1, 1, SIZE // 2)]),
    "as a network's": rotated(torch.logspace(-12, 2, SIZE)),
    "tiny": 1e-30 * rotated(torch.linspace(-1, 3, SIZE)),
    "diagonal": torch.diag(torch.linspace(1, 2, SIZE, dtype=torch.float64)),
}
EVERY = pytest.mark.parametrize("matrix", MATRICES.values(), ids=MATRICES)
STEPS = pytest.mark.parametrize("steps", [1, 2, 20, 60])


def run(matrix, steps, vector=None):
    return lanczos(lambda v: matrix @ v, start(len(matrix)) if vector is None else vector, steps)


def scale(matrix):
    return float(torch.linalg.matrix_norm(matrix, 2))


@EVERY
@STEPS
def test_the_basis_is_orthonormal(matrix, steps):
    basis = run(matrix, steps).basis
    deviation = basis.T @ basis - torch.eye(basis.shape[1], dtype=torch.float64)
    assert deviation.abs().max() < 1e-12


def test_that_check_notices_a_basis_that_is_not_orthogonalised_again():
    matrix, vectors, beside = MATRICES["one outlier"], [start(SIZE) / start(SIZE).norm()], 0.0
    for _ in range(59):
        image = matrix @ vectors[-1] - beside * (vectors[-2] if len(vectors) > 1 else 0)
        image = image - (vectors[-1] @ image) * vectors[-1]
        beside = image.norm()
        vectors.append(image / beside)
    basis = torch.stack(vectors, dim=1)
    assert (basis.T @ basis - torch.eye(60, dtype=torch.float64)).abs().max() > 0.1


@EVERY
@STEPS
def test_the_tridiagonal_is_the_matrix_in_the_basis(matrix, steps):
    found = run(matrix, steps)
    expected = found.basis.T @ matrix @ found.basis
    torch.testing.assert_close(found.tridiagonal, expected, rtol=0, atol=1e-13 * scale(matrix))


def test_the_first_column_is_the_start():
    vector = start(SIZE)
    torch.testing.assert_close(run(MATRICES["spread"], 5).basis[:, 0], vector / vector.norm(), rtol=0, atol=1e-15)


def test_the_basis_spans_the_powers_of_the_matrix_on_the_start():
    matrix, vector = MATRICES["spread"], start(SIZE)
    powers = [vector]
    for _ in range(4):
        powers.append(matrix @ powers[-1])
    basis = run(matrix, 5).basis
    for power in powers:
        torch.testing.assert_close(basis @ (basis.T @ power), power)
    assert (basis @ (basis.T @ (matrix @ powers[-1])) - matrix @ powers[-1]).norm() > 1e-3 * powers[-1].norm()


@EVERY
@STEPS
def test_the_ritz_values_are_those_of_the_krylov_space(matrix, steps):
    found = run(matrix, steps)
    kept = found.tridiagonal.shape[0]
    # The space once more, by a QR factorization in SciPy that knows nothing of the recurrence.
    columns = [start(SIZE).numpy()]
    for _ in range(kept - 1):
        fresh = matrix.numpy() @ scipy.linalg.qr(np.stack(columns, axis=1), mode="economic")[0][:, -1]
        columns.append(fresh / np.linalg.norm(fresh))
    space = scipy.linalg.qr(np.stack(columns, axis=1), mode="economic")[0]
    expected = scipy.linalg.eigvalsh(space.T @ matrix.numpy() @ space)
    values = found.eigenpairs()[0]
    assert np.abs(values.numpy() - expected).max() < 1e-9 * scale(matrix)
    assert (values.diff() >= 0).all()


CONVERGED = pytest.mark.parametrize("name", ["spread", "one outlier", "outliers of both signs", "as a network's"])


@CONVERGED
def test_the_outermost_ritz_values_are_the_outermost_eigenvalues(name):
    matrix = MATRICES[name]
    values, expected = run(matrix, 60).eigenpairs()[0].numpy(), scipy.linalg.eigvalsh(matrix.numpy())
    assert abs(values[[0, -1]] - expected[[0, -1]]).max() < 1e-3 * np.ptp(expected)


@CONVERGED
def test_the_largest_ritz_value_is_that_of_scipys_own_krylov_space(name):
    matrix = MATRICES[name]
    (expected,) = scipy.sparse.linalg.eigsh(matrix.numpy(), k=1, which="LA", tol=1e-13, return_eigenvectors=False)
    assert float(run(matrix, 60).eigenpairs()[0][-1]) == pytest.approx(
        expected, rel=1e-10 if name != "spread" else 1e-3
    )


@EVERY
@STEPS
def test_the_residuals_are_true(matrix, steps):
    values, vectors, residuals = run(matrix, steps).eigenpairs()
    measured = (matrix @ vectors - vectors * values).norm(dim=0)
    torch.testing.assert_close(residuals, measured, rtol=1e-6, atol=1e-12 * scale(matrix))


@EVERY
@STEPS
def test_an_eigenvalue_lies_within_each_residual(matrix, steps):
    values, _, residuals = run(matrix, steps).eigenpairs()
    eigenvalues = torch.from_numpy(scipy.linalg.eigvalsh(matrix.numpy()))
    distances = (values[:, None] - eigenvalues).abs().amin(1)
    assert (distances <= residuals + 1e-12 * scale(matrix)).all()


def test_those_checks_notice_other_values():
    values, vectors, residuals = run(MATRICES["spread"], 20).eigenpairs()
    measured = (MATRICES["spread"] @ vectors - vectors * (values + 0.1)).norm(dim=0)
    assert (measured > residuals + 1e-3).any()


INVARIANT = {
    "an eigenvector": (torch.diag(torch.arange(1.0, 9).double()), torch.eye(8, dtype=torch.float64)[3], 1),
    "three eigenvectors": (
        torch.diag(torch.arange(1.0, 9).double()),
        torch.tensor([0, 1, 0, -2, 0, 3, 0, 0], dtype=torch.float64),
        3,
    ),
    "five different eigenvalues": (rotated([*[1.0] * 20, *[2.0] * 20, -1, -1, 7, 9]), start(44), 5),
    "low rank": (rotated([*torch.zeros(40), 1, 2, -3]), start(43), 4),
    "identity": (torch.eye(30, dtype=torch.float64), start(30), 1),
    "zeros": (torch.zeros(30, 30, dtype=torch.float64), start(30), 1),
    "everything": (rotated(torch.linspace(-1, 3, 12)), start(12), 12),
    "one number": (torch.full((1, 1), 3.0, dtype=torch.float64), torch.ones(1, dtype=torch.float64), 1),
}


@pytest.mark.parametrize(("matrix", "vector", "dimension"), INVARIANT.values(), ids=INVARIANT)
def test_it_stops_where_the_space_is_invariant(matrix, vector, dimension):
    asked = []
    found = lanczos(lambda v: asked.append(v) or matrix @ v, vector, 60)
    assert found.basis.shape == (len(matrix), dimension)
    assert len(asked) == dimension
    assert found.eigenpairs()[2].max() <= 1e-13 * max(scale(matrix), 1e-300)


@pytest.mark.parametrize("steps", [1, 2, 7])
def test_it_takes_as_many_products_as_steps(steps):
    asked = []
    lanczos(lambda v: asked.append(v) or MATRICES["spread"] @ v, start(SIZE), steps)
    assert len(asked) == steps


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_results_have_the_type_of_the_start(dtype):
    matrix = MATRICES["spread"].to(dtype)
    found = run(matrix, 10, start(SIZE).to(dtype))
    assert {part.dtype for part in (found.basis, found.tridiagonal, *found.eigenpairs())} == {dtype}


def test_single_precision_keeps_an_orthonormal_basis():
    matrix = MATRICES["one outlier"].float()
    basis = run(matrix, 60, start(SIZE).float()).basis
    assert (basis.T @ basis - torch.eye(basis.shape[1])).abs().max() < 2e-6


@pytest.mark.parametrize("factor", [1e-20, 1e20])
def test_the_length_of_the_start_does_not_matter(factor):
    one, other = run(MATRICES["spread"], 10), run(MATRICES["spread"], 10, factor * start(SIZE))
    torch.testing.assert_close(one.tridiagonal, other.tridiagonal, rtol=1e-10, atol=1e-12)
