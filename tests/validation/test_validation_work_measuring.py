"""Multiplications are those that are known of each operation, wherever it runs."""

import pytest
import torch
from approximation_cases import batch
from torch.nn import functional

from secondorder.curvature.symmetric import EIGEN_PRICE
from secondorder.validation.work_measuring import multiplications_of


def ones(*shape):
    return torch.ones(*shape, dtype=torch.float64)


@pytest.mark.parametrize(
    ("task", "expected"),
    [
        pytest.param(lambda: ones(3, 4) @ ones(4, 5), 3 * 4 * 5, id="matrix product"),
        pytest.param(lambda: ones(7, 3, 4) @ ones(7, 4, 5), 7 * 3 * 4 * 5, id="batched product"),
        pytest.param(lambda: functional.linear(ones(6, 4), ones(3, 4), ones(3)), 6 * 4 * 3, id="layer with bias"),
        pytest.param(
            lambda: functional.conv2d(ones(2, 3, 5, 6), ones(4, 3, 2, 2)), 2 * 4 * (4 * 5) * 3 * 4, id="convolution"
        ),
        pytest.param(lambda: ones(3, 5).addmm_(ones(3, 4), ones(4, 5)), 3 * 4 * 5, id="product added in place"),
        pytest.param(
            lambda: ones(7, 3, 5).baddbmm_(ones(7, 3, 4), ones(7, 4, 5)), 7 * 3 * 4 * 5, id="batch added in place"
        ),
        pytest.param(lambda: ones(3, 4) @ ones(4), 3 * 4, id="product with a vector"),
        pytest.param(lambda: torch.addmv(ones(3), ones(3, 4), ones(4)), 3 * 4, id="vector added"),
        pytest.param(lambda: torch.linalg.eigh(ones(5, 5)), EIGEN_PRICE * 5**3, id="eigenvectors"),
        pytest.param(lambda: torch.linalg.eigvalsh(ones(2, 5, 5)), 2 * EIGEN_PRICE * 5**3, id="batched eigenvalues"),
        pytest.param(
            lambda: torch.linalg.svd(ones(7, 3), full_matrices=False), 3 * 7 * 3**2 + 10 * 3**3, id="singular values"
        ),
        pytest.param(lambda: torch.linalg.qr(ones(7, 3)), 2 * 7 * 3**2, id="orthogonal and triangular factor"),
        pytest.param(lambda: ones(3, 4) + 1, 0, id="no product"),
    ],
)
def test_operation_has_the_multiplications_that_are_known_of_it(task, expected):
    assert multiplications_of(task)[1] == expected


def test_backward_pass_is_counted():
    weights = ones(4, 3).requires_grad_()
    _, found = multiplications_of(lambda: (ones(6, 4) @ weights).sum().backward())
    assert found == 2 * 6 * 4 * 3


def test_result_is_that_of_the_task():
    assert multiplications_of(lambda: "found") == ("found", 0)


def test_what_runs_outside_is_not_counted():
    ones(3, 4) @ ones(4, 5)
    _, found = multiplications_of(lambda: None)
    assert found == 0


# Of 6 samples: the products with 3 × 4 and 2 × 3 weights of the R-operator's two passes. Forwards the second layer has
# one with its weights and one with the vector; backwards each weight has two but the first, whose inputs stay.
R_OPERATOR = 6 * ((12 + 2 * 6) + (2 * 6 + 2 * 6 + 12))


def test_products_on_the_tape_are_those_that_are_derived():
    case = batch()
    products, vector = case.products(), ones(case.size)
    assert multiplications_of(lambda: products(vector))[1] == R_OPERATOR
    assert multiplications_of(lambda: [products(vector) for _ in range(2)])[1] == 2 * R_OPERATOR


def test_gradient_has_a_product_forwards_and_two_backwards_but_for_the_inputs():
    assert multiplications_of(batch().gradient)[1] == 6 * ((12 + 6) + (2 * 6 + 12))


def test_tape_changes_nothing_by_being_counted():
    case = batch()
    vector = ones(case.size)
    counted, _ = multiplications_of(lambda: case.products()(vector))
    assert torch.equal(counted, case.products()(vector))
