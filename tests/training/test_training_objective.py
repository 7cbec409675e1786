"""The mini-batch objective is one function of the parameters for the length of a step, and counts its evaluations."""

import pytest
import torch
from torch import nn
from torch.autograd.functional import hessian
from torch.nn import functional
from torch.nn.utils import parameters_to_vector, vector_to_parameters

from secondorder.optim.objective_products import objective_products
from secondorder.optim.protocol import Optimizer, StepResult
from secondorder.training.objective import Objective
from secondorder.training.randomness import get_random_state, set_random_state
from secondorder.training.work import Work

DEVICES = [
    "cpu",
    pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="PyTorch sees no CUDA device")),
]
EVALUATIONS = ("loss", "loss_and_gradient", "product")


def perceptron():
    return nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 3))


def with_dropout():
    return nn.Sequential(nn.Linear(4, 20), nn.Tanh(), nn.Dropout(0.5), nn.Linear(20, 3))


def with_batch_norm():
    return nn.Sequential(nn.Linear(4, 5), nn.BatchNorm1d(5), nn.Tanh(), nn.Dropout(0.5), nn.Linear(5, 3))


def make(network=perceptron, penalty=0.0, samples=6, unit=6, device="cpu"):
    torch.manual_seed(0)
    model = network().to(device, torch.float64)
    inputs = torch.randn(samples, 4, dtype=torch.float64, device=device)
    targets = torch.arange(samples, device=device) % 3
    work = Work(unit)
    return Objective(model, functional.cross_entropy, inputs, targets, work, penalty), work


def evaluate(objective, kind):
    if kind == "product":
        products = objective_products(objective, "double_backward")
        return products(torch.ones_like(products.gradient))
    return getattr(objective, kind)()


def direct(objective, theta, penalty):
    """The objective of `perceptron`, written out."""
    w1, b1, w2, b2 = theta.split([20, 5, 15, 3])
    outputs = (objective.inputs @ w1.view(5, 4).T + b1).tanh() @ w2.view(3, 5).T + b2
    picked = outputs.log_softmax(1)[range(len(outputs)), objective.targets]
    return -picked.mean() + penalty / 2 * ((w1**2).sum() + (w2**2).sum())


PENALTIES = pytest.mark.parametrize("penalty", [0.0, 0.7])


@PENALTIES
def test_the_loss_is_the_mean_plus_the_penalty_on_weights(penalty):
    objective, _ = make(penalty=penalty)
    theta = parameters_to_vector(objective.parameters).detach()
    torch.testing.assert_close(objective.loss(), direct(objective, theta, penalty))


@PENALTIES
def test_the_gradient_is_that_of_the_same_function(penalty):
    objective, _ = make(penalty=penalty)
    theta = parameters_to_vector(objective.parameters).detach().requires_grad_()
    expected_loss = direct(objective, theta, penalty)
    (expected,) = torch.autograd.grad(expected_loss, theta)
    loss = objective.loss_and_gradient()
    torch.testing.assert_close(loss, expected_loss.detach())
    torch.testing.assert_close(parameters_to_vector([p.grad for p in objective.parameters]), expected)


@PENALTIES
def test_the_product_is_with_the_hessian_of_the_same_function(penalty):
    objective, _ = make(penalty=penalty)
    theta = parameters_to_vector(objective.parameters).detach()
    dense = hessian(lambda t: direct(objective, t, penalty), theta)
    vector = torch.randn_like(theta)
    torch.testing.assert_close(objective_products(objective)(vector), dense @ vector)


def test_the_penalty_pulls_at_weights_and_not_at_biases():
    gradients = []
    for penalty in (0.0, 0.7):
        objective, _ = make(penalty=penalty)
        objective.loss_and_gradient()
        gradients.append([p.grad for p in objective.parameters])
    for parameter, without, with_penalty in zip(objective.parameters, *gradients, strict=True):
        pull = 0.7 * parameter.detach() if parameter.ndim == 2 else torch.zeros_like(parameter)
        torch.testing.assert_close(with_penalty - without, pull)


def test_values_come_detached():
    objective, _ = make()
    values = [evaluate(objective, kind) for kind in EVALUATIONS]
    assert [value.requires_grad for value in values] == [False, False, False]
    assert [value.ndim for value in values] == [0, 0, 1]


def test_a_gradient_replaces_the_one_before():
    objective, _ = make()
    objective.loss_and_gradient()
    first = [p.grad.clone() for p in objective.parameters]
    objective.loss_and_gradient()
    assert all(torch.equal(p.grad, g) for p, g in zip(objective.parameters, first, strict=True))


@pytest.mark.parametrize("kind", ["loss", "product"])
def test_other_evaluations_leave_the_gradient_alone(kind):
    objective, _ = make()
    objective.loss_and_gradient()
    first = [p.grad.clone() for p in objective.parameters]
    evaluate(objective, kind)
    assert all(torch.equal(p.grad, g) for p, g in zip(objective.parameters, first, strict=True))


def test_gradients_are_found_even_where_gradients_are_switched_off():
    objective, _ = make()
    with torch.no_grad():
        objective.loss_and_gradient()
        product = evaluate(objective, "product")
    assert all(p.grad.abs().max() > 0 for p in objective.parameters)
    assert product.abs().max() > 0


def test_frozen_parameters_are_no_part_of_the_function():
    objective, work = make(penalty=0.7)
    objective.model[0].requires_grad_(False)
    frozen = Objective(objective.model, objective.loss_function, objective.inputs, objective.targets, work, 0.7)
    theta = parameters_to_vector(objective.parameters).detach()
    trainable = theta[25:]
    dense = hessian(lambda t: direct(objective, torch.cat([theta[:25], t]), 0.7), trainable)
    frozen.loss_and_gradient()
    assert [p.grad is None for p in objective.model.parameters()] == [True, True, False, False]
    torch.testing.assert_close(objective_products(frozen)(torch.ones_like(trainable)), dense.sum(1))


# One function


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("network", [with_dropout, with_batch_norm])
def test_repeated_evaluations_in_a_step_are_bitwise_equal(network, device):
    objective, _ = make(network, device=device)
    losses, gradients = [], []
    for _ in range(3):
        losses += [objective.loss_and_gradient(), objective.loss()]
        gradients.append(parameters_to_vector([p.grad for p in objective.parameters]).clone())
        evaluate(objective, "product")
    assert all(torch.equal(loss, losses[0]) for loss in losses)
    assert all(torch.equal(gradient, gradients[0]) for gradient in gradients)


def test_the_next_objective_has_other_dropout_masks():
    objective, work = make(with_dropout)
    first = objective.loss()
    second = Objective(objective.model, objective.loss_function, objective.inputs, objective.targets, work).loss()
    assert first != second


def test_curvature_and_gradient_belong_to_the_same_masks():
    objective, _ = make(with_dropout)
    theta = parameters_to_vector(objective.parameters).detach()
    vector = torch.randn(len(theta)).double()
    objective.loss()
    product = objective_products(objective)(vector)

    def gradient(step):
        vector_to_parameters(theta + step * vector, objective.parameters)
        objective.loss_and_gradient()
        return parameters_to_vector([p.grad for p in objective.parameters]).clone()

    difference = (gradient(1e-5) - gradient(-1e-5)) / 2e-5
    torch.testing.assert_close(product, difference, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("kinds", [("loss",), EVALUATIONS, EVALUATIONS * 3], ids=["1", "3", "9"])
@pytest.mark.parametrize("first", EVALUATIONS)
def test_running_statistics_move_once_however_many_evaluations(kinds, first):
    objective, _ = make(with_batch_norm)
    norm, linear = objective.model[1], objective.model[0]
    signal = linear(objective.inputs).detach()
    for kind in (first, *kinds):
        evaluate(objective, kind)
    torch.testing.assert_close(norm.running_mean, 0.1 * signal.mean(0))
    torch.testing.assert_close(norm.running_var, 0.9 + 0.1 * signal.var(0))
    assert int(norm.num_batches_tracked) == 1


def test_running_statistics_move_again_in_the_next_step():
    objective, work = make(with_batch_norm)
    for _ in range(3):
        Objective(objective.model, objective.loss_function, objective.inputs, objective.targets, work).loss()
    assert int(objective.model[1].num_batches_tracked) == 3


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("kinds", [EVALUATIONS[1:], EVALUATIONS * 2], ids=["2 more", "6 more"])
def test_the_random_stream_goes_on_as_after_one_evaluation(kinds, device):
    def draw_after(kinds):
        objective, _ = make(with_dropout, device=device)
        for kind in kinds:
            evaluate(objective, kind)
        return torch.rand(5, device=device)

    assert torch.equal(draw_after(("loss",)), draw_after(("loss", *kinds)))


@pytest.mark.parametrize("network", [perceptron, with_dropout])
def test_an_optimizer_draws_fresh_numbers_between_evaluations(network):
    # A method that probes curvature with random vectors would otherwise see the same vector each time.
    objective, _ = make(network)
    draws = []
    for _ in range(4):
        objective.loss()
        draws.append(float(torch.rand(())))
    assert len(set(draws)) == 4


def test_draws_of_the_optimizer_do_not_change_the_function():
    objective, _ = make(with_dropout)
    losses = []
    for _ in range(4):
        losses.append(float(objective.loss()))
        torch.rand(3)
    assert len(set(losses)) == 1


def test_a_failing_evaluation_leaves_buffers_and_random_stream_as_they_were():
    objective, _ = make(with_batch_norm)
    objective.loss()
    kept = [buffer.clone() for buffer in objective.model.buffers()]
    state = torch.get_rng_state()
    objective.loss_function = lambda outputs, targets: 1 / 0
    with pytest.raises(ZeroDivisionError):
        objective.loss()
    assert all(torch.equal(b, k) for b, k in zip(objective.model.buffers(), kept, strict=True))
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("device", DEVICES)
def test_a_random_state_put_back_repeats_the_draws(device):
    state = get_random_state(torch.device(device))
    first = torch.rand(3, device=device)
    set_random_state(torch.device(device), state)
    assert torch.equal(torch.rand(3, device=device), first)


# Work


@pytest.mark.parametrize(
    ("kind", "samples", "unit", "equivalents"),
    [
        ("loss_and_gradient", 6, 6, 1),
        ("loss_and_gradient", 12, 6, 2),
        ("loss_and_gradient", 3, 6, 0.5),
        ("loss", 6, 6, 1 / 3),
        ("loss", 18, 6, 1),
        ("product", 6, 6, 3),
        ("product", 2, 6, 1),
    ],
)
def test_the_price_of_an_evaluation(kind, samples, unit, equivalents):
    objective, work = make(samples=samples, unit=unit)
    evaluate(objective, kind)
    assert work.gradient_equivalents == pytest.approx(equivalents, rel=1e-12)


def test_work_adds_up_over_a_step():
    objective, work = make(samples=12, unit=6)
    for kind in ("loss_and_gradient", "product", "product", "loss", "loss", "loss"):
        evaluate(objective, kind)
    counts = work.counts()
    assert counts.pop("gradient_equivalents") == pytest.approx(2 * (1 + 3 + 3 + 1))
    assert counts == {"gradients": 3, "products": 2, "losses": 3}


def test_work_is_made_again_from_its_state():
    objective, work = make()
    evaluate(objective, "product")
    again = Work(**work.state_dict())
    again.count_loss(6)
    assert again.counts() == {"gradients": 1, "losses": 1, "products": 1, "gradient_equivalents": 3 + 1 / 3}


# A second-order method


class Newton:
    """Newton's method with a dense Hessian made of Hessian-vector products."""

    def __init__(self, parameters):
        self._parameters = list(parameters)

    def step(self, objective, schedule_factor):
        products = objective_products(objective)
        gradient = products.gradient
        columns = [products(unit) for unit in torch.eye(len(gradient), dtype=gradient.dtype)]
        update = torch.linalg.solve(torch.stack(columns, dim=1), gradient)
        with torch.no_grad():
            vector_to_parameters(parameters_to_vector(self._parameters) - schedule_factor * update, self._parameters)
        return StepResult(products.loss, {"update_norm": update.norm()})

    def state_dict(self):
        return {}

    def load_state_dict(self, state):
        pass


@pytest.mark.parametrize("penalty", [0.0, 0.4])
def test_newton_solves_linear_regression_in_one_step(penalty):
    torch.manual_seed(0)
    model = nn.Linear(3, 1).double()
    inputs, targets = torch.randn(20, 3).double(), torch.randn(20, 1).double()
    work = Work(20)
    optimizer: Optimizer = Newton(model.parameters())
    objective = Objective(model, functional.mse_loss, inputs, targets, work, penalty)
    before = objective.loss()
    result = optimizer.step(objective, 1.0)
    # The normal equations of the mean squared error, with the penalty on the weights and not on the bias.
    design = torch.cat([inputs, torch.ones(20, 1).double()], dim=1)
    ridge = penalty / 2 * torch.diag(torch.tensor([1.0, 1.0, 1.0, 0.0]).double())
    solution = torch.linalg.solve(design.T @ design / 20 + ridge, design.T @ targets / 20)
    torch.testing.assert_close(torch.cat([model.weight, model.bias[None]], dim=1).T, solution)
    assert result.loss == before
    assert work.gradient_equivalents == pytest.approx(1 / 3 + 1 + 4 * 2)
