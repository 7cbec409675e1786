"""FOSI is Newton along the extreme eigenvectors and its base optimizer across them, each exactly."""

import math

import pytest
import torch
from quadratic_problem import Quadratic, rotated
from torch import nn
from torch.nn import functional
from torch.nn.utils import parameters_to_vector

from secondorder import optim
from secondorder.errors import ConfigurationError
from secondorder.optim import fosi
from secondorder.training.objective import Objective
from secondorder.training.work import PRODUCT_PRICES, Work

SPECTRUM = [-3.0, -0.2, 0.01, 0.5, 2.0, 10.0]
START = torch.tensor([0.5, -1.0, 0.3, 0.8, -0.4, 1.2], dtype=torch.float64)
BASES = {"adam": {"base": "adam", "learning_rate": 0.01}, "heavy ball": {"base": "sgd", "learning_rate": 0.02}}
EVERY = pytest.mark.parametrize("base", BASES.values(), ids=BASES)
WHOLE = {"krylov_steps": 6, "newton_learning_rate": 1.0, "refresh": 1, "warm_up": 0}


def quadratic(**settings):
    return Quadratic(rotated(SPECTRUM), START, "fosi", **{**WHOLE, **settings})


def eigenvectors(matrix, positions):
    return torch.linalg.eigh(matrix).eigenvectors[:, positions]


@EVERY
@pytest.mark.parametrize("damping", [0.0, 0.3])
def test_with_all_pairs_it_is_saddle_free_newton(base, damping):
    problem = quadratic(largest=4, smallest=2, damping=damping, **base)
    values, vectors = torch.linalg.eigh(problem.matrix)
    expected = -vectors @ ((vectors.T @ problem.gradient) / (values.abs() + damping))
    torch.testing.assert_close(problem.step(), expected, rtol=0, atol=1e-9)


@EVERY
def test_without_pairs_it_is_the_base_optimizer_to_the_bit(base):
    ends = {}
    alone = {"learning_rate": base["learning_rate"], **({"momentum": 0.9} if base["base"] == "sgd" else {})}
    for name, settings in (("fosi", {"largest": 0, "smallest": 0, **base}), (base["base"], alone)):
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Dropout(0.3), nn.Linear(4, 2))
        module = optim.load(name)
        optimizer = module.build(model.parameters(), module.Settings(**settings))
        work = Work(8)
        for _ in range(10):
            inputs, targets = torch.randn(8, 3), torch.randn(8, 2)
            optimizer.step(Objective(model, functional.mse_loss, inputs, targets, work, 0.01), 0.7)
        ends[name] = (parameters_to_vector(model.parameters()), work.gradient_equivalents)
    found, expected = ends.values()
    assert torch.equal(found[0], expected[0])
    assert found[1] == expected[1] == 10


@EVERY
@pytest.mark.parametrize(("largest", "smallest", "positions"), [(2, 0, [4, 5]), (1, 1, [0, 5])])
def test_each_part_stays_in_its_own_subspace(base, largest, smallest, positions):
    problem = quadratic(largest=largest, smallest=smallest, **base)
    span = eigenvectors(problem.matrix, positions)
    values = torch.linalg.eigvalsh(problem.matrix)[positions].abs()
    for _ in range(4):
        gradient = problem.gradient
        moved = problem.step()
        torch.testing.assert_close(span.T @ moved, -(span.T @ gradient) / values, rtol=0, atol=1e-12)
        assert (moved - span @ (span.T @ moved)).norm() > 1e-3


def test_that_check_notices_an_update_that_is_not_projected():
    """Adam leaves the complement of a gradient that lies in it: it scales every coordinate by itself."""
    matrix = rotated(SPECTRUM)
    span = eigenvectors(matrix, [4, 5])
    gradient = matrix @ START
    first_update = -0.01 * (gradient - span @ (span.T @ gradient)).sign()
    assert (span.T @ first_update).norm() > 1e-3


def test_both_learning_rates_follow_the_schedule():
    whole, part = (quadratic(largest=2, base="sgd").step(factor) for factor in (1.0, 0.25))
    torch.testing.assert_close(part, 0.25 * whole, rtol=0, atol=1e-12)


CONDITIONED = [1.0, 1.7, 2.9, 4.1, 6.0, 8.5, 10.0, 300.0, 1000.0, 5000.0]


def distances(steps=60, **settings):
    """‖w‖ after each step, in steps of gradient descent at the best rate for eigenvalues from 1 to 10."""
    start = torch.ones(len(CONDITIONED), dtype=torch.float64)
    given = {"base": "sgd", "momentum": 0.0, "learning_rate": 2 / 11, "krylov_steps": 10, "refresh": 20, **settings}
    given["warm_up"] = 0
    problem = Quadratic(rotated(CONDITIONED), start, "fosi", newton_learning_rate=1.0, **given)
    found = []
    for _ in range(steps):
        problem.step()
        found.append(float(problem.point.norm()))
    return found


def test_it_converges_at_the_rate_of_the_condition_number_that_is_left():
    """(κ − 1) / (κ + 1) for κ = 10; of the whole quadratic κ is 5000, and the rate 0.9996."""
    found = distances(largest=3)
    rate = 9 / 11
    assert found[-1] <= rate**60 * math.sqrt(len(CONDITIONED))
    assert (found[-1] / found[-11]) ** 0.1 == pytest.approx(rate, rel=1e-3)


def test_that_rate_needs_all_of_the_outliers():
    assert distances(largest=2)[-1] > 1e10


def test_work_is_a_gradient_the_products_and_the_multiplications_beside_them():
    steps, pairs, size = 4, 3, 6
    problem = quadratic(krylov_steps=steps, largest=2, smallest=1, refresh=2)
    problem.step()
    unit = 3 * size * size
    beside = size * (2 * steps * (steps + 1) + steps * pairs + 5 * pairs) / unit
    expected = 1 + steps * PRODUCT_PRICES["r_operator"] + beside
    assert problem.work.gradient_equivalents == pytest.approx(expected, rel=1e-12)
    problem.step()
    assert problem.work.gradient_equivalents == pytest.approx(expected + 1 + 5 * pairs * size / unit, rel=1e-12)


def test_the_base_optimizer_warms_up_alone():
    problem, alone = (
        quadratic(warm_up=2, **BASES["adam"]),
        Quadratic(rotated(SPECTRUM), START, "adam", learning_rate=0.01),
    )
    for products in (0, 0, 6, 12):
        moved, expected = problem.step(), alone.step()
        assert problem.work.products == products
        assert torch.equal(moved, expected) == (products == 0)


def test_it_records_the_share_of_the_gradient_that_newton_takes():
    problem = quadratic(largest=2)
    span, gradient = eigenvectors(problem.matrix, [4, 5]), problem.gradient
    problem.step()
    expected = float((span.T @ gradient).square().sum() / gradient.square().sum())
    assert float(problem.result.diagnostics["gradient_in_span"]) == pytest.approx(expected, rel=1e-9)


def test_what_is_not_finite_ends_as_diverged():
    problem = Quadratic(rotated(SPECTRUM), torch.full((6,), torch.nan), "fosi", **WHOLE)
    problem.step()
    assert problem.result.loss.isnan()


def test_more_pairs_than_lanczos_steps_are_refused():
    with pytest.raises(ConfigurationError, match=r"largest is 3, smallest 2 and krylov_steps 4, .*raise krylov_steps"):
        fosi.Settings(largest=3, smallest=2, krylov_steps=4)
