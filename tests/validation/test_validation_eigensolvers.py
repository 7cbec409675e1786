"""SciPy's eigenpairs are those of a dense matrix, and what did not converge is there and says so."""

import numpy as np
import pytest
import torch

from secondorder.errors import InputError
from secondorder.validation.eigensolvers import largest_pairs

SIZE = 80
MATRIX = torch.randn(SIZE, SIZE, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
MATRIX = MATRIX + MATRIX.T
EIGENVALUES = torch.linalg.eigvalsh(MATRIX)


def run(product=lambda vector: MATRIX @ vector, size=SIZE, count=3, which="LA", **options):
    return largest_pairs(product, size, count, which, **{"tolerance": 0, "krylov": 20, "products": 2000, **options})


@pytest.mark.parametrize(
    ("which", "expected"),
    [pytest.param("LA", EIGENVALUES[-3:], id="largest"), pytest.param("SA", EIGENVALUES[:3], id="smallest")],
)
def test_pairs_are_those_of_the_dense_matrix(which, expected):
    found = run(which=which)
    assert found.converged
    torch.testing.assert_close(found.values, expected, rtol=1e-12, atol=0)
    assert (MATRIX @ found.vectors - found.vectors * found.values).norm() < 1e-10
    torch.testing.assert_close(found.vectors.T @ found.vectors, torch.eye(3).double(), rtol=0, atol=1e-12)


def test_products_are_counted():
    asked = []
    found = run(lambda vector: asked.append(vector) or MATRIX @ vector)
    assert found.products == len(asked)
    assert 20 < found.products < 2000


def test_no_pair_that_did_not_converge_is_lost():
    # Three far outliers converge at once, the fourth eigenvalue is as close to others as can be.
    diagonal = torch.cat([torch.linspace(0, 1e-6, 2997), torch.tensor([5.0, 6, 7])]).double()
    found = run(lambda vector: diagonal * vector, size=3000, count=5, tolerance=1e-14, products=40)
    assert not found.converged
    known = found.values.isfinite()
    assert found.values.shape == (5,)
    assert 0 < known.sum() < 5
    torch.testing.assert_close(found.values[known], diagonal[-int(known.sum()) :], rtol=1e-12, atol=0)
    assert found.vectors.isnan().all(0).tolist() == (~known).tolist()


def test_products_that_are_no_numbers_give_no_pairs():
    found = run(lambda vector: torch.nan * vector)
    assert not found.converged
    assert found.values.isnan().all()
    assert found.vectors.shape == (SIZE, 3)


def test_the_zero_matrix_has_zeros():
    found = run(lambda vector: 0 * vector)
    assert (found.values.tolist(), found.converged) == ([0, 0, 0], True)
    torch.testing.assert_close(found.vectors.T @ found.vectors, torch.eye(3).double())


def test_vectors_that_a_product_keeps_do_not_change():
    kept, copies = [], []
    run(lambda vector: copies.append(vector.clone()) or kept.append(vector) or MATRIX @ vector)
    assert all(torch.equal(*both) for both in zip(kept, copies, strict=True))


def test_the_same_call_gives_the_same_bits():
    np.testing.assert_array_equal(run().vectors, run().vectors)


@pytest.mark.parametrize(
    "options", [{"count": 0}, {"krylov": 3}, {"size": 3}], ids=["no pair", "too few vectors", "as many pairs as rows"]
)
def test_bad_input_is_refused(options):
    with pytest.raises(InputError, match="more vectors than pairs"):
        run(**options)
