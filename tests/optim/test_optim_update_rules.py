"""First-order updates follow the formulas of their documentation; L-BFGS finds the minimum of a quadratic."""

import math

import pytest
import torch
from torch import nn

from secondorder import optim
from secondorder.training.objective import Objective
from secondorder.training.work import Work

START = [1.0, -2.0, 0.5]
CURVATURES = [0.3, 2.0, 5.0]
TARGETS = [0.5, 1.0, 0.5 - 1e-3]
STEPS = 6


class Vector(nn.Module):
    """A parameter vector; its output is itself."""

    def __init__(self, values):
        super().__init__()
        self.theta = nn.Parameter(torch.as_tensor(values, dtype=torch.float64).clone())

    def forward(self, inputs):
        return self.theta


def trajectory(name, loss, start, steps, factor=1.0, **settings):
    """The parameters after each step, the work done, and the optimizer's results."""
    model, module, work = Vector(start), optim.load(name), Work(1)
    optimizer = module.build(model.parameters(), module.Settings(**settings))
    points, results = [], []
    for _ in range(steps):
        objective = Objective(model, lambda theta, _: loss(theta), torch.zeros(1), torch.zeros(1), work)
        results.append(optimizer.step(objective, factor))
        points.append(model.theta.tolist())
    return points, work, results


def separable(theta):
    return sum(a * (t - c) ** 2 / 2 for a, t, c in zip(CURVATURES, theta, TARGETS, strict=True))


def by_hand(rule, weight_decay=0.0):
    """The same trajectory, entry by entry with a rule on plain floats: (θ, g, memory, step) to a new θ."""
    theta, memories, points = list(START), [{} for _ in START], []
    for step in range(1, STEPS + 1):
        for i, (a, c) in enumerate(zip(CURVATURES, TARGETS, strict=True)):
            gradient = a * (theta[i] - c) + weight_decay * theta[i]
            theta[i] = rule(theta[i], gradient, memories[i], step)
        points.append(list(theta))
    return points


def sgd(rate):
    return lambda theta, g, memory, step: theta - rate * g


def momentum(rate, m):
    def rule(theta, g, memory, step):
        memory["v"] = m * memory.get("v", 0.0) + g
        return theta - rate * memory["v"]

    return rule


def nesterov(rate, m):
    def rule(theta, g, memory, step):
        memory["v"] = m * memory.get("v", 0.0) + g
        return theta - rate * (g + m * memory["v"])

    return rule


def adam(rate, beta1=0.9, beta2=0.999, epsilon=1e-8):
    def rule(theta, g, memory, step):
        memory["m"] = beta1 * memory.get("m", 0.0) + (1 - beta1) * g
        memory["v"] = beta2 * memory.get("v", 0.0) + (1 - beta2) * g * g
        m_hat, v_hat = memory["m"] / (1 - beta1**step), memory["v"] / (1 - beta2**step)
        return theta - rate * m_hat / (math.sqrt(v_hat) + epsilon)

    return rule


def rmsprop(rate, alpha=0.99, m=0.0, epsilon=1e-8):
    def rule(theta, g, memory, step):
        memory["v"] = alpha * memory.get("v", 0.0) + (1 - alpha) * g * g
        memory["u"] = m * memory.get("u", 0.0) + g / (math.sqrt(memory["v"]) + epsilon)
        return theta - rate * memory["u"]

    return rule


CASES = [
    ("sgd", {"learning_rate": 0.1}, sgd(0.1)),
    ("sgd", {"learning_rate": 0.1, "momentum": 0.8}, momentum(0.1, 0.8)),
    ("sgd", {"learning_rate": 0.1, "momentum": 0.8, "nesterov": True}, nesterov(0.1, 0.8)),
    ("adam", {"learning_rate": 0.1}, adam(0.1)),
    (
        "adam",
        {"learning_rate": 0.2, "beta1": 0.5, "beta2": 0.7, "epsilon": 0.01},
        adam(0.2, beta1=0.5, beta2=0.7, epsilon=0.01),
    ),
    ("rmsprop", {"learning_rate": 0.05}, rmsprop(0.05)),
    (
        "rmsprop",
        {"learning_rate": 0.05, "smoothing": 0.6, "momentum": 0.4, "epsilon": 0.1},
        rmsprop(0.05, alpha=0.6, m=0.4, epsilon=0.1),
    ),
]
IDS = ["sgd", "momentum", "nesterov", "adam", "adam other", "rmsprop", "rmsprop other"]


@pytest.mark.parametrize("weight_decay", [0.0, 0.3])
@pytest.mark.parametrize(("name", "settings", "rule"), CASES, ids=IDS)
def test_each_step_follows_the_formula(name, settings, rule, weight_decay):
    points, work, _ = trajectory(name, separable, START, STEPS, **settings, weight_decay=weight_decay)
    expected = by_hand(rule, weight_decay)
    for point, expected_point in zip(points, expected, strict=True):
        assert point == pytest.approx(expected_point, rel=1e-12, abs=1e-14)
    assert work.counts() == {"gradients": STEPS, "losses": 0, "products": 0, "gradient_equivalents": STEPS}


def test_the_formulas_tell_the_optimizers_apart():
    ends = {name: by_hand(rule)[-1] for name, (*_, rule) in zip(IDS, CASES, strict=True)}
    pairs = [(a, b) for a in ends for b in ends if a < b]
    assert all(max(abs(x - y) for x, y in zip(ends[a], ends[b], strict=True)) > 1e-3 for a, b in pairs)


def test_adams_first_step_is_the_learning_rate_whatever_the_gradient():
    points, _, _ = trajectory("adam", separable, START, 1, learning_rate=0.1, epsilon=1e-30)
    signs = [math.copysign(1, a * (t - c)) for a, t, c in zip(CURVATURES, START, TARGETS, strict=True)]
    assert points[0] == pytest.approx([t - 0.1 * sign for t, sign in zip(START, signs, strict=True)])


# L-BFGS


def ill_conditioned(size=10, condition=1e4):
    """A quadratic with eigenvalues from 1 to ``condition`` in random directions, and where its minimum is."""
    generator = torch.Generator().manual_seed(0)
    directions = torch.linalg.qr(torch.randn(size, size, dtype=torch.float64, generator=generator)).Q
    eigenvalues = torch.logspace(0, math.log10(condition), size, dtype=torch.float64)
    matrix = directions @ torch.diag(eigenvalues) @ directions.T
    minimum = torch.randn(size, dtype=torch.float64, generator=generator)
    return lambda theta: (theta - minimum) @ matrix @ (theta - minimum) / 2, minimum


LBFGS = {"iterations": 20, "evaluations": 25, "history": 20}


def test_lbfgs_finds_the_minimum_of_an_ill_conditioned_quadratic():
    loss, minimum = ill_conditioned()
    points, _, _ = trajectory("lbfgs", loss, torch.zeros(10), 15, **LBFGS)
    # torch stops when the loss changes by less than 1e-9; the least curvature is 1.
    torch.testing.assert_close(torch.tensor(points[-1], dtype=torch.float64), minimum, rtol=0, atol=2e-9**0.5)


def test_gradient_descent_with_as_many_gradients_does_not():
    loss, minimum = ill_conditioned()
    _, work, _ = trajectory("lbfgs", loss, torch.zeros(10), 15, **LBFGS)
    points, _, _ = trajectory("sgd", loss, torch.zeros(10), work.gradients, learning_rate=1e-4)
    assert (torch.tensor(points[-1], dtype=torch.float64) - minimum).abs().max() > 0.1


def test_lbfgs_finds_the_minimum_of_rosenbrock():
    points, _, _ = trajectory(
        "lbfgs", lambda t: (1 - t[0]) ** 2 + 100 * (t[1] - t[0] ** 2) ** 2, [-1.2, 1.0], 10, **LBFGS
    )
    assert points[-1] == pytest.approx([1.0, 1.0], abs=1e-4)


def test_lbfgs_without_line_search_starts_along_the_gradient():
    # torch scales the first direction, of which no curvature is known, by the gradient's 1-norm.
    points, _, _ = trajectory(
        "lbfgs", separable, START, 1, learning_rate=0.5, iterations=1, evaluations=1, line_search=False
    )
    gradient = [a * (t - c) for a, t, c in zip(CURVATURES, START, TARGETS, strict=True)]
    length = 0.5 * min(1.0, 1 / sum(abs(g) for g in gradient))
    assert points[0] == pytest.approx([t - length * g for t, g in zip(START, gradient, strict=True)])


@pytest.mark.parametrize(("iterations", "evaluations"), [(1, 2), (3, 5), (5, 10), (50, 4), (20, 1)])
def test_lbfgs_keeps_within_its_evaluations_and_the_one_of_a_line_search_under_way(iterations, evaluations):
    loss, _ = ill_conditioned()
    previous = 0
    model_settings = {"iterations": iterations, "evaluations": evaluations}
    for steps in range(1, 6):
        _, work, _ = trajectory("lbfgs", loss, torch.zeros(10), steps, **model_settings)
        assert work.gradients - previous <= evaluations + 1
        previous = work.gradients
    assert work.losses == 0
