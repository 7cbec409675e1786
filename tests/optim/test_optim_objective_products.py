"""Products with an objective's Hessian agree with dense ones, for every method, and are paid by their price."""

from functools import partial
from typing import get_args

import pytest
import torch
from torch import nn
from torch.autograd.functional import hessian, jacobian
from torch.func import functional_call
from torch.nn import functional
from torch.nn.utils import parameters_to_vector

from secondorder.curvature.hessian_vector_products import MethodName
from secondorder.errors import InputError
from secondorder.optim.objective_products import objective_products
from secondorder.training.objective import Objective
from secondorder.training.work import PRODUCT_PRICES, Work

METHODS = get_args(MethodName)
EVERY = pytest.mark.parametrize("method", METHODS)
BATCH = 6
# Differences of gradients lose digits; everything else is exact.
TOLERANCE = {**dict.fromkeys(METHODS, 1e-10), "finite_difference": 1e-5}


def perceptron():
    return nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 3))


def with_batch_norm():
    return nn.Sequential(nn.Linear(4, 5), nn.BatchNorm1d(5), nn.Tanh(), nn.Linear(5, 3))


def frozen():
    model = perceptron()
    model[0].requires_grad_(False)
    return model


def make(network=perceptron, penalty=0.0, unit=BATCH):
    torch.manual_seed(0)
    model = network().double()
    inputs, targets = torch.randn(BATCH, 4).double(), torch.arange(BATCH) % 3
    return Objective(model, functional.cross_entropy, inputs, targets, Work(unit), penalty)


def dense(objective, rows=slice(None)):
    """Loss, gradient and Hessian of the objective over some samples, by automatic differentiation of a flat vector."""
    named = {name: p for name, p in objective.model.named_parameters() if p.requires_grad}

    def value(theta):
        pieces = theta.split([p.numel() for p in named.values()])
        shaped = {name: piece.view_as(p) for (name, p), piece in zip(named.items(), pieces, strict=True)}
        loss = functional.cross_entropy(
            functional_call(objective.model, shaped, (objective.inputs[rows],)), objective.targets[rows]
        )
        return loss + objective.penalty / 2 * sum((p**2).sum() for p in shaped.values() if p.ndim > 1)

    theta = parameters_to_vector(objective.parameters).detach()
    return value(theta), jacobian(value, theta), hessian(value, theta)


@pytest.mark.parametrize("penalty", [0.0, 0.7])
@pytest.mark.parametrize("network", [perceptron, frozen])
@EVERY
def test_loss_gradient_and_product_are_those_of_the_objective(method, network, penalty):
    objective = make(network, penalty)
    loss, gradient, matrix = dense(objective)
    products = objective_products(objective, method)
    vector = torch.randn_like(gradient)
    torch.testing.assert_close(products.loss, loss)
    torch.testing.assert_close(products.gradient, gradient)
    tolerance = TOLERANCE[method]
    torch.testing.assert_close(products(vector), matrix @ vector, rtol=tolerance, atol=tolerance)
    torch.testing.assert_close(products(-vector), -matrix @ vector, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("penalty", [0.0, 0.7])
@pytest.mark.parametrize("samples", [1, 4])
def test_products_over_few_samples_are_over_the_last_ones_and_the_gradient_over_all(samples, penalty):
    objective = make(penalty=penalty)
    loss, gradient, whole = dense(objective)
    _, _, matrix = dense(objective, slice(BATCH - samples, BATCH))
    products = objective_products(objective, samples=samples)
    vector = torch.randn_like(gradient)
    torch.testing.assert_close(products.loss, loss)
    torch.testing.assert_close(products.gradient, gradient)
    torch.testing.assert_close(products(vector), matrix @ vector)
    assert (whole @ vector - matrix @ vector).norm() > 1e-2 * (whole @ vector).norm()


@pytest.mark.parametrize("samples", [0, BATCH, 10 * BATCH])
def test_samples_beyond_the_batch_are_all_of_it(samples):
    objective = make()
    vector = torch.ones(43).double()
    torch.testing.assert_close(objective_products(objective, samples=samples)(vector), dense(objective)[2] @ vector)
    assert objective.work.gradients == 1


def test_that_comparison_notices_a_penalty_on_every_parameter():
    objective = make(penalty=0.7)
    vector = torch.ones(43).double()
    wrong = objective_products(objective)(vector) + 0.7 * torch.cat(
        [p.flatten() * 0 + (p.ndim < 2) for p in objective.parameters]
    )
    assert (wrong - dense(objective)[2] @ vector).norm() > 0.1


@EVERY
def test_losses_in_between_do_not_spoil_a_product(method):
    objective = make(with_batch_norm)
    products = objective_products(objective, method)
    vector = torch.randn_like(products.gradient)
    before = products(vector)
    objective.loss()
    assert torch.equal(products(vector), before)


@pytest.mark.parametrize("samples", [0, 4])
def test_running_statistics_see_the_whole_batch_once(samples):
    objective = make(with_batch_norm)
    signal = objective.model[0](objective.inputs).detach()
    products = objective_products(objective, samples=samples)
    products(products.gradient)
    torch.testing.assert_close(objective.model[1].running_mean, 0.1 * signal.mean(0))
    assert int(objective.model[1].num_batches_tracked) == 1


# Work, in matrix products of a dense layer over the three of a gradient: by hand, once more.

PRICES = {
    "complex_step": (4 + 4 + 2) / 3,
    "r_operator": 6 / 3,
    "forward_over_reverse": (3 + 6) / 3,
    "double_backward": 6 / 3,
    "finite_difference": 2 * 3 / 3,
}


def test_every_method_has_its_price():
    assert pytest.approx(PRICES) == PRODUCT_PRICES
    assert set(PRODUCT_PRICES) == set(METHODS)


@pytest.mark.parametrize("unit", [BATCH, 3 * BATCH])
@pytest.mark.parametrize(("samples", "gradients", "share"), [(0, 1, 1.0), (2, 2, 2 / BATCH)])
@EVERY
def test_work_is_counted(method, samples, gradients, share, unit):
    objective = make(unit=unit)
    products = objective_products(objective, method, samples=samples)
    for _ in range(3):
        products(products.gradient)
    batches = 3 * PRICES[method] * share + (1 + share if gradients == 2 else 1)
    assert objective.work.counts() == {
        "gradients": gradients,
        "losses": 0,
        "products": 3,
        "gradient_equivalents": pytest.approx(batches * BATCH / unit),
    }


# What is not finite


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
@EVERY
def test_parameters_that_are_not_finite_make_nan_and_no_error(method, value):
    objective = make()
    with torch.no_grad():
        objective.model[2].weight[0, 0] = value
    products = objective_products(objective, method)
    assert all(torch.isnan(t).all() for t in (products.loss, products.gradient, products(torch.ones(43).double())))


@EVERY
def test_a_loss_that_is_not_finite_makes_nan_and_no_error(method):
    objective = make()
    objective.loss_function = lambda outputs, targets: functional.cross_entropy(outputs, targets) * torch.inf
    products = objective_products(objective, method)
    assert all(torch.isnan(t).all() for t in (products.loss, products.gradient, products(torch.ones(43).double())))


def test_an_error_of_the_caller_is_raised_where_the_loss_is_finite():
    with pytest.raises(InputError, match=r"step of 0\.1 is given"):
        objective_products(make(), "r_operator", 0.1)


@EVERY
def test_a_vector_that_is_not_finite_has_a_product_of_nan(method):
    products = objective_products(make(), method)
    assert torch.isnan(products(torch.full((43,), torch.inf).double())).all()


def test_what_comes_is_detached_and_leaves_the_parameters_alone():
    objective = make(partial(nn.Linear, 4, 3), penalty=0.3)
    before = parameters_to_vector(objective.parameters).detach().clone()
    products = objective_products(objective)
    tensors = [products.loss, products.gradient, products(products.gradient)]
    assert not any(tensor.requires_grad for tensor in tensors)
    assert torch.equal(parameters_to_vector(objective.parameters), before)
