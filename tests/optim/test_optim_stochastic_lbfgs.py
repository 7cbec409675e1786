"""Stochastic L-BFGS learns the curvature of each mini-batch from that mini-batch, and pays for both gradients."""

import pytest
import torch
from torch import nn

from secondorder.newton.limited_memory import CurvaturePair, inverse_product, mean_scale
from secondorder.optim import stochastic_lbfgs
from secondorder.training.objective import Objective
from secondorder.training.work import Work

SIZE = 6


class Point(nn.Module):
    """A parameter vector, which is its own output."""

    def __init__(self):
        super().__init__()
        self.theta = nn.Parameter(torch.zeros(SIZE, dtype=torch.float64))

    def forward(self, inputs):
        return self.theta


def quadratic(batch, noise=1.0, lowest=1.0):
    """A mini-batch's own matrix, from ``lowest`` to 50 along common axes turned a little, and its own minimum."""
    generator = torch.Generator().manual_seed(batch)
    turned = torch.eye(SIZE).double() + noise * 0.1 * torch.randn(SIZE, SIZE, generator=generator).double()
    vectors = torch.linalg.qr(turned).Q
    values = torch.logspace(0, 1.7, SIZE, dtype=torch.float64)
    values[0] = lowest
    matrix = vectors * values @ vectors.T
    return matrix, torch.ones(SIZE).double() + noise * 0.1 * torch.randn(SIZE, generator=generator).double()


class Training:
    """An optimizer on mini-batches that each have another quadratic."""

    def __init__(self, *, noise=1.0, lowest=1.0, **settings):
        self.model, self.work = Point(), Work(4)
        self.optimizer = stochastic_lbfgs.build(self.model.parameters(), stochastic_lbfgs.Settings(**settings))
        self.noise, self.lowest = noise, lowest

    def step(self, batch, factor=1.0):
        """Take a step, and return where it started, with the diagnostics."""
        matrix, minimum = quadratic(batch, self.noise, self.lowest)
        before = self.theta

        def loss(theta, _):
            return (theta - minimum) @ matrix @ (theta - minimum) / 2

        objective = Objective(self.model, loss, torch.zeros(4).double(), torch.zeros(4), self.work)
        return before, self.optimizer.step(objective, factor).diagnostics

    @property
    def theta(self):
        return self.model.theta.detach().clone()

    @property
    def pairs(self):
        return [CurvaturePair(*pair) for pair in self.optimizer.state_dict()["pairs"]]


def test_the_first_step_is_along_the_gradient_and_no_longer_than_is_allowed():
    training = Training(learning_rate=0.1, longest_direction=2.0)
    matrix, minimum = quadratic(0)
    gradient = -matrix @ minimum
    training.step(0)
    torch.testing.assert_close(training.theta, -0.2 * gradient / gradient.norm(), rtol=1e-12, atol=0)


@pytest.mark.parametrize("damping", [0.0, 0.5])
def test_each_difference_is_the_curvature_of_one_mini_batch(damping):
    training = Training(learning_rate=0.05, damping=damping, powell_damping=False, history=3)
    steps = []
    for batch in range(5):
        before, _ = training.step(batch)
        steps.append((batch, training.theta - before))
    assert len(training.pairs) == 3
    for pair, (batch, step) in zip(training.pairs, steps[-3:], strict=True):
        matrix = quadratic(batch)[0] + damping * torch.eye(SIZE).double()
        torch.testing.assert_close(pair.step, step, rtol=1e-9, atol=1e-12)
        torch.testing.assert_close(pair.difference, matrix @ step, rtol=1e-9, atol=1e-12)
        # Not that of the mini-batch before, which is what differences of successive gradients would mix in.
        other = quadratic(batch - 1)[0] @ step
        assert (pair.difference - other).norm() > 1e-3 * other.norm()


@pytest.mark.parametrize("longest", [1e3, 0.1])
def test_a_step_is_along_the_product_with_all_pairs_and_no_longer_than_is_allowed(longest):
    training = Training(learning_rate=0.3, damping=0.1, longest_direction=longest)
    for batch in range(4):
        training.step(batch)
    pairs = training.pairs
    before, _ = training.step(7, factor=0.5)
    matrix, minimum = quadratic(7)
    direction = inverse_product(pairs, matrix @ (before - minimum), mean_scale(pairs))
    assert 0.1 < direction.norm() < 1e3
    direction *= min(1, longest / direction.norm())
    torch.testing.assert_close(training.theta, before - 0.15 * direction, rtol=1e-10, atol=1e-12)


def test_where_curvature_is_missing_powells_rule_sets_it_to_a_fifth_of_what_the_matrix_expects():
    training = Training(learning_rate=0.3, damping=0.0)
    training.step(0)
    pairs = training.pairs
    columns = [inverse_product(pairs, axis, mean_scale(pairs)) for axis in torch.eye(SIZE).double()]
    training.lowest = -50.0
    with torch.no_grad():
        # Far along the axis of negative curvature, so that the step is along it.
        training.model.theta[0] = 1e3
    _, diagnostics = training.step(1)
    newest = training.pairs[-1]
    expected = newest.step @ torch.linalg.solve(torch.stack(columns), newest.step)
    assert diagnostics == {"pairs": 2, "pair_kept": 1.0}
    assert float(newest.step @ newest.difference) == pytest.approx(0.2 * float(expected), rel=1e-9)


def test_without_that_rule_such_a_pair_is_skipped():
    training = Training(learning_rate=0.3, damping=0.0, powell_damping=False)
    training.step(0)
    training.lowest = -50.0
    with torch.no_grad():
        training.model.theta[0] = 1e3
    _, diagnostics = training.step(1)
    assert diagnostics == {"pairs": 1, "pair_kept": 0.0}


def test_a_step_costs_two_gradients():
    training = Training()
    for batch in range(3):
        training.step(batch)
    assert training.work.counts() == {"gradients": 6, "losses": 0, "products": 0, "gradient_equivalents": 6.0}


def test_a_step_of_no_length_keeps_the_pairs():
    training = Training(powell_damping=True)
    training.step(0)
    before, diagnostics = training.step(1, factor=0.0)
    assert torch.equal(training.theta, before)
    assert diagnostics == {"pairs": 1, "pair_kept": 0.0}


def test_it_finds_the_minimum_of_an_ill_conditioned_quadratic():
    training = Training(noise=0.0, learning_rate=1.0, damping=0.0, history=SIZE, longest_direction=100.0)
    for _ in range(30):
        training.step(0)
    torch.testing.assert_close(training.theta, torch.ones(SIZE).double(), rtol=1e-6, atol=0)
