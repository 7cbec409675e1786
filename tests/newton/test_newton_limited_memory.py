"""The two loops give what the dense BFGS recurrence gives, and the method ends where conjugate gradients do."""

import pytest
import torch

from secondorder.errors import InputError
from secondorder.newton.conjugate_gradients import conjugate_gradients
from secondorder.newton.limited_memory import CurvaturePair, damped_difference, inverse_product, mean_scale

SIZE = 8


def quadratic(seed=0):
    """A positive definite matrix with a condition of 100, and a vector."""
    generator = torch.Generator().manual_seed(seed)
    vectors = torch.linalg.qr(torch.randn(SIZE, SIZE, generator=generator, dtype=torch.float64)).Q
    matrix = vectors * torch.logspace(0, 2, SIZE, dtype=torch.float64) @ vectors.T
    return matrix, torch.randn(SIZE, generator=generator, dtype=torch.float64)


def pairs_of(matrix, count, seed=1):
    steps = torch.randn(count, SIZE, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return [CurvaturePair(step, matrix @ step) for step in steps]


def dense_inverse(pairs, scale):
    """H by its recurrence (Nocedal & Wright 2006, formula 6.17), a full matrix."""
    inverse = scale * torch.eye(SIZE, dtype=torch.float64)
    for pair in pairs:
        s, y = pair.step[:, None], pair.difference[:, None]
        rho = 1 / (s.T @ y)
        left = torch.eye(SIZE, dtype=torch.float64) - rho * s @ y.T
        inverse = left @ inverse @ left.T + rho * s @ s.T
    return inverse


def dense_hessian(pairs, scale):
    """B by its own recurrence (formula 6.19), from the inverse of γ I."""
    matrix = torch.eye(SIZE, dtype=torch.float64) / scale
    for pair in pairs:
        s, y = pair.step[:, None], pair.difference[:, None]
        image = matrix @ s
        matrix = matrix - image @ image.T / (s.T @ image) + y @ y.T / (s.T @ y)
    return matrix


@pytest.mark.parametrize("count", [0, 1, 3, 2 * SIZE])
def test_the_two_loops_are_the_dense_recurrence(count):
    matrix, vector = quadratic()
    pairs, scale = pairs_of(matrix, count), torch.tensor(0.3).double()
    product = inverse_product(pairs, vector, scale)
    torch.testing.assert_close(product, dense_inverse(pairs, scale) @ vector, rtol=1e-11, atol=1e-12)
    torch.testing.assert_close(dense_hessian(pairs, scale) @ product, vector, rtol=1e-9, atol=1e-10)


def test_that_comparison_notices_pairs_in_the_wrong_order():
    matrix, vector = quadratic()
    pairs, scale = pairs_of(matrix, 3), torch.tensor(0.3).double()
    product = inverse_product(pairs[::-1], vector, scale)
    assert (product - dense_inverse(pairs, scale) @ vector).norm() > 1e-3 * product.norm()


def test_the_newest_pair_is_mapped_exactly():
    matrix, _ = quadratic()
    pairs = pairs_of(matrix, 4)
    product = inverse_product(pairs, pairs[-1].difference, torch.tensor(0.3).double())
    torch.testing.assert_close(product, pairs[-1].step, rtol=1e-11, atol=1e-12)
    older = inverse_product(pairs, pairs[0].difference, torch.tensor(0.3).double())
    assert (older - pairs[0].step).norm() > 1e-3


def minimised(matrix, vector, history, steps):
    """Iterates of L-BFGS with exact line searches on θᵀAθ/2 + bᵀθ from 0."""
    theta, gradient, pairs, iterates = torch.zeros_like(vector), vector, [], []
    for _ in range(steps):
        direction = -inverse_product(pairs, gradient, torch.ones((), dtype=torch.float64))
        image = matrix @ direction
        length = -(gradient @ direction) / (direction @ image)
        theta, gradient = theta + length * direction, gradient + length * image
        pairs = [*pairs, CurvaturePair(length * direction, length * image)][-history:]
        iterates.append(theta)
    return iterates


@pytest.mark.parametrize("history", [1, 3, SIZE])
def test_with_exact_line_searches_it_takes_the_steps_of_conjugate_gradients(history):
    matrix, vector = quadratic()
    for steps, iterate in enumerate(minimised(matrix, vector, history, SIZE), start=1):
        expected = conjugate_gradients(
            lambda v: matrix @ v, vector, steps=steps, tolerance=1e-14, curvature_tolerance=0.0
        ).direction
        torch.testing.assert_close(iterate, expected, rtol=1e-8, atol=1e-9)
    # As many steps as there are dimensions find the minimum.
    torch.testing.assert_close(iterate, -torch.linalg.solve(matrix, vector), rtol=1e-8, atol=1e-9)


def test_the_scale_is_the_mean_of_inverse_curvatures():
    # By hand: along the first axis 1/2, along the second 1/5.
    pairs = [
        CurvaturePair(torch.tensor([1.0, 0.0]), torch.tensor([2.0, 0.0])),
        CurvaturePair(torch.tensor([0.0, 3.0]), torch.tensor([0.0, 15.0])),
    ]
    assert float(mean_scale(pairs)) == pytest.approx((1 / 2 + 1 / 5) / 2)


# Damping


@pytest.mark.parametrize(
    ("difference", "expected"),
    [
        # s·Bs = 2: from 0.4 on the pair is as it was; below, s·y̅ is 0.4.
        pytest.param([1.0, 7.0], [1.0, 7.0], id="enough curvature"),
        pytest.param([0.4, 7.0], [0.4, 7.0], id="just enough"),
        pytest.param([0.0, 1.0], [0.4, 0.8], id="none"),
        # t = 0.8 · 2 / (2 + 2) = 0.4
        pytest.param([-2.0, 1.0], [0.4, 0.4], id="negative"),
    ],
)
def test_damping_is_powells_by_hand(difference, expected):
    step, image = torch.tensor([1.0, 0.0]).double(), torch.tensor([2.0, 0.0]).double()
    damped = damped_difference(step, torch.tensor(difference).double(), image)
    torch.testing.assert_close(damped, torch.tensor(expected).double())


def test_damped_pairs_keep_the_matrix_positive_definite_where_others_do_not():
    indefinite = torch.diag(torch.linspace(-3.0, 1.0, SIZE, dtype=torch.float64))
    raw = pairs_of(indefinite, 4)
    damped = [CurvaturePair(pair.step, damped_difference(pair.step, pair.difference, pair.step)) for pair in raw]
    scale = torch.ones((), dtype=torch.float64)
    assert torch.linalg.eigvalsh(dense_inverse(damped, scale))[0] > 0
    assert torch.linalg.eigvalsh(dense_inverse(raw, scale))[0] < 0


def test_a_matrix_in_place_of_a_vector_is_refused():
    with pytest.raises(InputError, match=r"shape \(2, 2\); flatten it"):
        inverse_product([], torch.ones(2, 2), torch.ones(()))
