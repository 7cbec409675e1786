"""The optimizers of pytorch-optimizer follow their papers' formulas, and all that they compute is counted."""

import itertools
import math
import sys

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from secondorder import optim
from secondorder.curvature.hessian_diagonal import hutchinson_diagonal, random_signs
from secondorder.errors import CapabilityError
from secondorder.optim.adahessian import over_the_kernel
from secondorder.optim.forward_multiplications import forward_multiplications
from secondorder.optim.shampoo import shampoo_multiplications
from secondorder.optim.soap import soap_multiplications
from secondorder.training.objective import Objective
from secondorder.training.work import Work

LIBRARY = ["adahessian", "sophia", "shampoo", "soap"]
SHAPES = [pytest.param((3,), id="vector"), pytest.param((3, 2), id="matrix"), pytest.param((2, 3, 2, 2), id="kernel")]
STEPS = 6


class Parameter(nn.Module):
    """One parameter, which is its own output."""

    def __init__(self, start):
        super().__init__()
        self.theta = nn.Parameter(torch.as_tensor(start, dtype=torch.float64).clone())

    def forward(self, inputs):
        return self.theta


def numbers(shape, seed):
    return np.random.default_rng(seed).normal(size=shape)


def coefficients(shape):
    """Start, target and curvatures of a separable quadratic, some of which are small and one negative."""
    curvatures = np.abs(numbers(shape, 2)) + 0.05
    curvatures.flat[0] = -0.3
    return numbers(shape, 0), numbers(shape, 1), curvatures


def trajectory(name, shape, steps=STEPS, **settings):
    """The parameter after each step of an optimizer on the quadratic."""
    start, target, curvatures = (torch.as_tensor(values) for values in coefficients(shape))
    model, module, points = Parameter(start), optim.load(name), []
    optimizer = module.build(model.parameters(), module.Settings(**settings))

    def loss(theta, _):
        return (curvatures * (theta - target).square()).sum() / 2

    for _ in range(steps):
        optimizer.step(Objective(model, loss, torch.zeros(1).double(), torch.zeros(1), Work(1)), 1.0)
        points.append(model.theta.detach().numpy().copy())
    return points


def by_hand(rule, shape, steps=STEPS):
    """The same from a rule on NumPy arrays: (θ, g, memory, step) to a new θ."""
    theta, target, curvatures = coefficients(shape)
    memory, points = {"curvatures": curvatures}, []
    for step in range(1, steps + 1):
        theta = rule(theta, curvatures * (theta - target), memory, step)
        points.append(theta)
    return points


def mean(memory, name, value, decay):
    memory[name] = decay * memory.get(name, np.zeros_like(value)) + (1 - decay) * value
    return memory[name]


def adahessian(rate, beta1=0.9, beta2=0.999, power=1.0, epsilon=1e-4, decay=0.0):
    def rule(theta, g, memory, step):
        m = mean(memory, "m", g, beta1) / (1 - beta1**step)
        v = mean(memory, "v", memory["curvatures"] ** 2, beta2) / (1 - beta2**step)
        return theta - rate * (m / (v ** (power / 2) + epsilon) + decay * theta)

    return rule


def sophia(rate, beta1=0.96, beta2=0.99, gamma=0.01, epsilon=1e-12, decay=0.0, period=10):
    def rule(theta, g, memory, step):
        m = mean(memory, "m", g, beta1)
        if step % period == 1:
            noise = torch.randn(theta.size, dtype=torch.float64).reshape(theta.shape).numpy()
            mean(memory, "h", memory["curvatures"] * noise**2, beta2)
        return theta - rate * (np.clip(m / np.maximum(gamma * memory["h"], epsilon), -1, 1) + decay * theta)

    return rule


def along(tensor, matrix, side):
    """A matrix applied along one side of a tensor."""
    return np.moveaxis(np.tensordot(matrix, tensor, axes=(1, side)), 0, side)


def moments(tensor, side):
    rows = np.moveaxis(tensor, side, 0).reshape(tensor.shape[side], -1)
    return rows @ rows.T


def shampoo(rate, epsilon, period):
    def rule(theta, g, memory, step):
        step_taken = g
        for side, length in enumerate(g.shape):
            matrix = memory.get(("L", side), epsilon * np.eye(length)) + moments(g, side)
            memory["L", side] = matrix
            if step == 1 or step % period == 0:
                values, vectors = np.linalg.eigh(matrix)
                memory["root", side] = vectors * values ** (-1 / (2 * g.ndim)) @ vectors.T
            step_taken = along(step_taken, memory["root", side], side)
        return theta - rate * step_taken

    return rule


def soap(rate, beta1=0.95, beta2=0.95, epsilon=1e-8, period=10, decay=0.0):
    def rule(theta, g, memory, step):
        sides = range(g.ndim) if g.ndim > 1 else []
        taken = step - 1
        if taken:

            def turned(tensor, back=False):
                for side in sides:
                    vectors = memory["Q", side]
                    tensor = along(tensor, vectors if back else vectors.T, side)
                return tensor

            m = mean(memory, "m", g, beta1)
            v = mean(memory, "v", turned(g) ** 2, beta2)
            scaled = rate * math.sqrt(1 - beta2**taken) / (1 - beta1**taken)
            theta = theta - scaled * turned(turned(m) / (np.sqrt(v) + epsilon), back=True)
            theta = theta - rate * decay * theta
        for side in sides:
            matrix = mean(memory, ("L", side), moments(g, side), beta2)
            if not taken:
                memory["Q", side] = np.linalg.eigh(matrix)[1][:, ::-1]
            elif taken % period == 0:
                image = matrix @ memory["Q", side]
                order = np.argsort(-(memory["Q", side] * image).sum(0))
                memory["v"] = np.take(memory["v"], order, axis=side)
                memory["Q", side] = np.linalg.qr(image[:, order])[0]
        return theta

    return rule


@pytest.mark.parametrize("shape", SHAPES[:2])
@pytest.mark.parametrize(
    ("name", "settings", "rule"),
    [
        pytest.param("adahessian", {}, adahessian(0.15), id="adahessian"),
        pytest.param(
            "adahessian",
            {
                "learning_rate": 0.1,
                "beta1": 0.5,
                "beta2": 0.7,
                "hessian_power": 0.5,
                "epsilon": 0.1,
                "weight_decay": 0.2,
            },
            adahessian(0.1, 0.5, 0.7, 0.5, 0.1, 0.2),
            id="adahessian other",
        ),
        # Where the curvature does not change, neither does an estimate that is held: the mean is unbiased all the same.
        pytest.param("adahessian", {"hessian_period": 3}, adahessian(0.15), id="adahessian held"),
        pytest.param("sophia", {}, sophia(1e-3), id="sophia"),
        pytest.param(
            "sophia",
            {"learning_rate": 0.1, "beta1": 0.5, "beta2": 0.7, "gamma": 5.0, "epsilon": 0.1, "weight_decay": 0.2}
            | {"hessian_period": 2},
            sophia(0.1, 0.5, 0.7, 5.0, 0.1, 0.2, 2),
            id="sophia other",
        ),
    ],
)
def test_steps_with_a_hessian_diagonal_follow_the_formula(name, settings, rule, shape):
    torch.manual_seed(0)
    points = trajectory(name, shape, **settings)
    torch.manual_seed(0)
    np.testing.assert_allclose(points, by_hand(rule, shape), rtol=1e-11)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(
    ("name", "settings", "rule"),
    [
        pytest.param("shampoo", {"root_period": 1, "epsilon": 1e-4}, shampoo(0.1, 1e-4, 1), id="shampoo"),
        pytest.param("shampoo", {"root_period": 4, "epsilon": 0.1}, shampoo(0.1, 0.1, 4), id="shampoo delayed"),
        pytest.param("soap", {}, soap(3e-3), id="soap"),
        pytest.param(
            "soap",
            {"learning_rate": 0.1, "beta1": 0.5, "beta2": 0.7, "epsilon": 0.1, "weight_decay": 0.2, "basis_period": 2},
            soap(0.1, 0.5, 0.7, 0.1, 2, 0.2),
            id="soap other",
        ),
    ],
)
def test_preconditioned_steps_follow_the_formula(name, settings, rule, shape, monkeypatch):
    # The QR factorization of SOAP is in single precision; the formula is compared, not its rounding.
    monkeypatch.setattr(torch, "float32", torch.float64)
    np.testing.assert_allclose(trajectory(name, shape, **settings), by_hand(rule, shape), rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize(
    ("name", "settings", "wrong"),
    [
        pytest.param("adahessian", {}, adahessian(0.15, beta1=0.89), id="adahessian"),
        pytest.param("sophia", {"gamma": 5.0}, sophia(1e-3, gamma=4.9), id="sophia"),
        pytest.param("shampoo", {"root_period": 4, "epsilon": 0.1}, shampoo(0.1, 0.1, 3), id="shampoo"),
        pytest.param("soap", {"basis_period": 2}, soap(3e-3, period=3), id="soap"),
    ],
)
def test_these_comparisons_notice_another_formula(name, settings, wrong):
    torch.manual_seed(0)
    points = trajectory(name, (3, 2), **settings)
    torch.manual_seed(0)
    assert np.abs(points[-1] - by_hand(wrong, (3, 2))[-1]).max() > 1e-5


# The diagonal of the Hessian


def symmetric(size=4):
    square = torch.as_tensor(numbers((size, size), 3))
    return square + square.T


def test_the_mean_of_the_estimate_over_all_signs_is_the_diagonal():
    matrix = symmetric()
    noises = [torch.tensor(signs).double() for signs in itertools.product([-1.0, 1.0], repeat=4)]
    estimates = torch.stack([hutchinson_diagonal(matrix.mv, noise) for noise in noises])
    torch.testing.assert_close(estimates.mean(0), matrix.diag(), rtol=1e-13, atol=1e-13)
    # Signs that depend on each other, half of the cases, do not do.
    dependent = torch.stack([hutchinson_diagonal(matrix.mv, noise) for noise in noises if noise[0] == noise[1]])
    assert (dependent.mean(0) - matrix.diag()).abs().max() > 0.1


def test_of_a_diagonal_matrix_it_is_exact_whatever_the_signs():
    diagonal, noise = symmetric().diag(), random_signs(torch.zeros(4, dtype=torch.float64))
    assert torch.equal(hutchinson_diagonal(diagonal.mul, noise), diagonal)


def test_signs_are_both():
    signs = random_signs(torch.zeros(1000))
    assert set(signs.tolist()) == {-1.0, 1.0}
    assert abs(float(signs.mean())) < 0.15


def test_a_kernels_diagonal_is_averaged_over_its_positions_with_its_sign():
    kernel = torch.tensor([[[[1.0, -3.0]], [[4.0, 6.0]]]])
    assert over_the_kernel(kernel).tolist() == [[[[-1.0, -1.0]], [[5.0, 5.0]]]]
    matrix = torch.tensor([[1.0, -3.0]])
    assert over_the_kernel(matrix) is matrix


# Work, and what is not finite


def network(dtype=torch.float32):
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 2, 3), nn.Tanh(), nn.Flatten(), nn.Linear(32, 3)).to(dtype)


def objective_of(model, work, scale=1.0):
    inputs = torch.linspace(-1, 1, 8 * 36).reshape(8, 1, 6, 6) * scale
    return Objective(model, functional.cross_entropy, inputs, torch.arange(8) % 3, work)


# A forward pass takes 2 · 9 · 16 + 32 · 3 = 384 multiplications, a gradient of the batch of 8 three times 8 · 384.
UNIT = 3 * 8 * 384
SIDES = [(2, 1, 3, 3), (2,), (3, 32), (3,)]


@pytest.mark.parametrize(
    ("name", "settings", "expected"),
    [
        pytest.param("adahessian", {}, 4 * 3, id="adahessian"),
        pytest.param("adahessian", {"hessian_period": 3}, 4 + 2 * 2, id="adahessian every third"),
        pytest.param("adahessian", {"curvature_samples": 2}, 4 * (1 + 3 / 4), id="adahessian of two samples"),
        pytest.param("sophia", {"hessian_period": 2, "product": "complex_step"}, 4 + 2 * 10 / 3, id="sophia"),
        pytest.param(
            "shampoo",
            {"root_period": 3},
            4 + sum(shampoo_multiplications(SIDES, roots=roots) for roots in (True, False, True, False)) / UNIT,
            id="shampoo",
        ),
        pytest.param(
            "soap",
            {"basis_period": 2},
            4 + sum(soap_multiplications(SIDES, 10_000, step, 2) for step in (1, 2, 3, 4)) / UNIT,
            id="soap",
        ),
    ],
)
def test_work_is_that_of_four_steps_by_hand(name, settings, expected):
    model, module, work = network(), optim.load(name), Work(8)
    optimizer = module.build(model.parameters(), module.Settings(**settings))
    for _ in range(4):
        optimizer.step(objective_of(model, work), 1.0)
    assert work.gradient_equivalents == pytest.approx(expected, rel=1e-12)


def test_multiplications_of_a_matrix_and_a_vector_by_hand():
    shapes = [(2, 3), (4,)]
    assert shampoo_multiplications(shapes, roots=False) == 2 * 6 * 5 + 2 * 4 * 4
    assert shampoo_multiplications(shapes, roots=True) == 2 * 6 * 5 + 2 * 4 * 4 + 5.5 * (8 + 27 + 64)
    assert soap_multiplications(shapes, 10, 1, 5) == 6 * 5 + 4.5 * (8 + 27)
    assert soap_multiplications(shapes, 10, 5, 5) == 4 * 6 * 5
    assert soap_multiplications(shapes, 10, 6, 5) == pytest.approx(4 * 6 * 5 + 7 / 3 * (8 + 27))
    assert soap_multiplications(shapes, 2, 5, 5) == 4 * 6 * 2


class Recurrent(nn.Module):
    """An LSTM, which PyTorch may compute as one fused function, and a linear layer."""

    def __init__(self):
        super().__init__()
        self.recurrent, self.output = nn.LSTM(4, 5, batch_first=True), nn.Linear(5, 2)

    def forward(self, inputs):
        return self.output(self.recurrent(inputs)[0][:, -1])


@pytest.mark.parametrize(
    ("model", "shape", "expected"),
    [
        pytest.param(lambda: nn.Linear(4, 3), (6, 4), 12, id="dense"),
        pytest.param(lambda: nn.Conv2d(2, 3, 3), (6, 2, 5, 5), 3 * 9 * 2 * 9, id="convolution"),
        pytest.param(Recurrent, (6, 7, 4), 7 * 4 * 5 * (4 + 5) + 10, id="fused recurrence"),
    ],
)
def test_multiplications_of_a_forward_pass_are_counted_whatever_the_layer(model, shape, expected):
    objective = Objective(model(), functional.mse_loss, torch.zeros(shape), torch.zeros(1), Work(1))
    assert forward_multiplications(objective) == expected


@pytest.mark.parametrize("name", [*LIBRARY, "stochastic_lbfgs"])
def test_numbers_that_are_not_finite_end_in_a_loss_that_is_not_and_in_no_error(name):
    model, module, work = network(), optim.load(name), Work(8)
    optimizer = module.build(model.parameters(), module.Settings())
    optimizer.step(objective_of(model, work), 1.0)
    optimizer.step(objective_of(model, work, math.nan), 1.0)
    result = optimizer.step(objective_of(model, work), 1.0)
    assert not torch.isfinite(result.loss)


def test_shampoo_moves_at_its_first_step():
    start = coefficients((3, 2))[0]
    assert np.abs(trajectory("shampoo", (3, 2), steps=1, root_period=50)[0] - start).max() > 1e-2


def test_frozen_parameters_are_left_alone():
    for name in LIBRARY:
        model, module, work = network(), optim.load(name), Work(8)
        model[3].weight.requires_grad_(False)
        before = [parameter.detach().clone() for parameter in model.parameters()]
        optimizer = module.build(model.parameters(), module.Settings())
        for _ in range(2):
            optimizer.step(objective_of(model, work), 1.0)
        moved = [not torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True)]
        assert moved == [True, True, False, True], name


def test_a_missing_library_is_named_with_the_remedy(monkeypatch):
    monkeypatch.setitem(sys.modules, "pytorch_optimizer", None)
    with pytest.raises(CapabilityError, match=r"SOAP is taken from the package pytorch-optimizer.*pip install"):
        optim.load("soap").build([nn.Parameter(torch.ones(2))], optim.load("soap").Settings())
