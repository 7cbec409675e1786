"""Steps of low-rank saddle-free Newton are those of its dense definition, also past saddles, and are paid for."""

from typing import get_args

import pytest
import torch
from quadratic_problem import Quadratic, rotated
from torch import nn
from torch.nn import functional

from secondorder import optim
from secondorder.curvature.hessian_vector_products import MethodName
from secondorder.errors import CapabilityError, ConfigurationError
from secondorder.optim import low_rank_newton
from secondorder.training.objective import Objective
from secondorder.training.work import PRODUCT_PRICES, Work

SPECTRUM = [-3.0, -0.2, 0.01, 0.5, 2.0, 10.0]
START = torch.tensor([0.5, -1.0, 0.3, 0.8, -0.4, 1.2], dtype=torch.float64)
FULL = {"learning_rate": 1.0, "damping": 0.1, "rank": 6, "krylov_steps": 6, "refresh": 1}


def quadratic(**settings):
    return Quadratic(rotated(SPECTRUM), START, "low_rank_newton", **{**FULL, **settings})


def saddle_free(matrix, gradient, count, damping=0.1):
    values, vectors = torch.linalg.eigh(matrix)
    chosen = values.abs().argsort(descending=True)[:count]
    values, vectors = values[chosen].abs(), vectors[:, chosen]
    inside = vectors.T @ gradient
    return -vectors @ (inside / (values + damping)) - (gradient - vectors @ inside) / (values[-1] + damping)


@pytest.mark.parametrize("product", get_args(MethodName))
@pytest.mark.parametrize("rank", [2, 6])
def test_a_step_is_the_dense_one_by_every_product(product, rank):
    problem = quadratic(product=product, rank=rank)
    expected = saddle_free(problem.matrix, problem.gradient, rank)
    moved = problem.step()
    # A finite difference has half of the digits.
    tolerance = 1e-6 if product == "finite_difference" else 1e-11
    torch.testing.assert_close(moved, expected, rtol=0, atol=tolerance)


def test_learning_rate_and_schedule_scale_the_step():
    whole, part = quadratic().step(), quadratic(learning_rate=0.5).step(0.1)
    torch.testing.assert_close(part, 0.05 * whole, rtol=0, atol=1e-13)


@pytest.mark.parametrize("refresh", [1, 2])
def test_pairs_are_kept_between_searches(refresh):
    problem = Quadratic(rotated(SPECTRUM), START, "low_rank_newton", quartic=1.0, **{**FULL, "refresh": refresh})
    hessians = []
    for _ in range(2):
        hessians.append(problem.matrix + torch.diag(3 * problem.point**2))
        gradient = problem.gradient
        moved = problem.step(0.1)
    now, before = (0.1 * saddle_free(hessian, gradient, 6) for hessian in reversed(hessians))
    expected, other = (before, now) if refresh == 2 else (now, before)
    assert (moved - expected).abs().max() < 1e-11
    assert (moved - other).abs().max() > 1e-3


def test_it_leaves_a_strict_saddle_where_gradient_descent_stays():
    """f = ½ (x² − y²/100) + y⁴/4, from a start as near the stable manifold y = 0 as makes no difference to descent."""
    matrix, start = torch.diag(torch.tensor([1.0, -0.01], dtype=torch.float64)), torch.tensor([1.0, 1e-8]).double()
    settings = {
        "low_rank_newton": {**FULL, "damping": 1e-4, "rank": 2, "krylov_steps": 2},
        "sgd": {"learning_rate": 0.5},
    }
    ends = {}
    for name, given in settings.items():
        problem = Quadratic(matrix, start, name, quartic=1.0, **given)
        for _ in range(60):
            problem.step()
        ends[name] = problem.point[1].abs()
    assert ends["sgd"] < 2e-8
    assert ends["low_rank_newton"] == pytest.approx(0.1, rel=1e-6)


def test_work_is_a_gradient_the_products_and_the_multiplications_beside_them():
    steps, rank, size = 4, 2, 6
    problem = quadratic(krylov_steps=steps, rank=rank, refresh=2)
    problem.step()
    # The layer multiplies once per weight and sample, and the batch is the unit.
    unit = 3 * size * size
    beside = size * (2 * steps * (steps + 1) + steps * rank + 3 * rank) / unit
    expected = 1 + steps * PRODUCT_PRICES["r_operator"] + beside
    assert problem.work.gradient_equivalents == pytest.approx(expected, rel=1e-12)
    problem.step()
    assert problem.work.gradient_equivalents == pytest.approx(expected + 1 + 3 * rank * size / unit, rel=1e-12)
    assert (problem.work.gradients, problem.work.products, problem.work.losses) == (2, steps, 0)


def test_a_stationary_point_is_not_left():
    problem = Quadratic(rotated(SPECTRUM), torch.zeros(6), "low_rank_newton", **FULL)
    assert not problem.step().any()
    assert problem.result.diagnostics == {}


def test_what_is_not_finite_ends_as_diverged():
    problem = Quadratic(rotated(SPECTRUM), torch.full((6,), torch.nan), "low_rank_newton", **FULL)
    problem.step()
    assert problem.result.loss.isnan()


def test_more_pairs_than_lanczos_steps_are_refused():
    with pytest.raises(ConfigurationError, match=r"rank is 8 and krylov_steps 4, .*make rank the smaller one"):
        low_rank_newton.Settings(rank=8, krylov_steps=4)


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(3, 2)

    def forward(self, inputs):
        return self.lstm(inputs)[0]


@pytest.mark.parametrize(("name", "settings"), [("low_rank_newton", {}), ("fosi", {"warm_up": 0})])
def test_a_model_without_products_is_refused_with_its_module(name, settings):
    model = Recurrent()
    module = optim.load(name)
    optimizer = module.build(model.parameters(), module.Settings(**settings))
    objective = Objective(model, functional.mse_loss, torch.randn(4, 3), torch.randn(4, 2), Work(4))
    with pytest.raises(CapabilityError, match="lstm"):
        optimizer.step(objective, 1.0)
