"""Hessian-vector products agree with dense Hessians, with hand-derived ones and with differences of gradients."""

import pytest
import torch
from torch import nn
from torch.func import functional_call, grad, hessian
from torch.nn import functional
from torch.nn.utils import parameters_to_vector

from secondorder.curvature.flat_vectors import split_like
from secondorder.curvature.products import double_backward

DEVICES = [
    "cpu",
    pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="PyTorch sees no CUDA device")),
]


class WithUnused(nn.Module):
    """A perceptron with a parameter that its output does not depend on."""

    def __init__(self):
        super().__init__()
        self.first = nn.Linear(12, 3)
        self.unused = nn.Parameter(torch.randn(2, 2))
        self.second = nn.Linear(3, 3)

    def forward(self, inputs):
        return self.second(self.first(inputs.flatten(1)).tanh())


def perceptron(activation):
    return nn.Sequential(nn.Flatten(), nn.Linear(12, 4), activation(), nn.Linear(4, 3))


def convolutional():
    return nn.Sequential(
        nn.Conv2d(1, 2, 2), nn.Tanh(), nn.MaxPool2d(2, ceil_mode=True), nn.ReLU(), nn.Flatten(), nn.Linear(4, 3)
    )


def frozen_first_layer():
    model = perceptron(nn.Tanh)
    model[1].requires_grad_(False)
    return model


def squared_error(outputs, targets):
    return functional.mse_loss(outputs, functional.one_hot(targets, 3).to(outputs.dtype))


NETWORKS = {
    "softmax regression": lambda: nn.Sequential(nn.Flatten(), nn.Linear(12, 3)),
    "relu": lambda: perceptron(nn.ReLU),
    "tanh": lambda: perceptron(nn.Tanh),
    "convolutional": convolutional,
    "frozen layer": frozen_first_layer,
    "unused parameter": WithUnused,
}
LOSSES = {"cross-entropy": functional.cross_entropy, "squared error": squared_error}
CASES = [
    pytest.param(network, loss, penalty, id=f"{name}-{loss_name}-penalty {penalty}")
    for name, network in NETWORKS.items()
    for loss_name, loss in LOSSES.items()
    for penalty in (0.0, 0.3)
]


class Problem:
    """A loss as a closure over a model's own parameters, and the same loss as a function of a flat vector."""

    def __init__(self, network, loss, penalty=0.0, dtype=torch.float64, device="cpu"):
        torch.manual_seed(0)
        self.model = network().to(device, dtype)
        self.inputs = torch.randn(5, 1, 3, 4, dtype=dtype, device=device)
        self.targets = torch.tensor([0, 1, 2, 1, 0], device=device)
        self.loss_function, self.penalty = loss, penalty
        self.named = {name: p for name, p in self.model.named_parameters() if p.requires_grad}
        self.parameters = list(self.named.values())
        self.theta = parameters_to_vector(self.parameters).detach()

    def value(self, outputs, parameters):
        weights = [p for p in parameters if p.ndim > 1]
        return self.loss_function(outputs, self.targets) + self.penalty / 2 * sum((w**2).sum() for w in weights)

    def loss(self):
        return self.value(self.model(self.inputs), self.parameters)

    def of_vector(self, theta):
        pieces, start = {}, 0
        for name, parameter in self.named.items():
            pieces[name] = theta[start : start + parameter.numel()].reshape(parameter.shape)
            start += parameter.numel()
        return self.value(functional_call(self.model, pieces, (self.inputs,)), list(pieces.values()))

    def product(self, vector):
        return double_backward(self.loss, self.parameters, vector)


@pytest.mark.parametrize(("network", "loss", "penalty"), CASES)
def test_the_product_is_that_of_the_dense_hessian(network, loss, penalty):
    problem = Problem(network, loss, penalty)
    dense = hessian(problem.of_vector)(problem.theta)  # forward over reverse: another path through autograd
    assert dense.abs().max() > 1e-3
    for _ in range(3):
        vector = torch.randn_like(problem.theta)
        torch.testing.assert_close(problem.product(vector), dense @ vector, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("index", [0, 17, -1])
def test_a_unit_vector_gives_that_column_of_the_hessian(index):
    problem = Problem(NETWORKS["tanh"], functional.cross_entropy)
    unit = torch.zeros_like(problem.theta)
    unit[index] = 1
    column = hessian(problem.of_vector)(problem.theta)[:, index]
    torch.testing.assert_close(problem.product(unit), column, rtol=1e-10, atol=1e-12)


def test_a_parameter_that_the_loss_does_not_use_gets_zeros():
    problem = Problem(WithUnused, functional.cross_entropy)
    names, product = list(problem.named), problem.product(torch.ones_like(problem.theta))
    pieces = dict(zip(names, split_like(product, problem.parameters), strict=True))
    assert torch.equal(pieces["unused"], torch.zeros(2, 2, dtype=torch.float64))
    assert all(pieces[name].abs().max() > 0 for name in names if name != "unused")


def test_a_quadratic_has_its_own_matrix():
    torch.manual_seed(0)
    square = torch.randn(7, 7, dtype=torch.float64)
    matrix, linear = square + square.T, torch.randn(7, dtype=torch.float64)
    parameters = [torch.randn(2, 2, dtype=torch.float64), torch.randn(3, dtype=torch.float64)]
    parameters = [p.requires_grad_() for p in parameters]

    def loss():
        theta = parameters_to_vector(parameters)
        return theta @ matrix @ theta / 2 + linear @ theta

    vector = torch.randn(7, dtype=torch.float64)
    torch.testing.assert_close(double_backward(loss, parameters, vector), matrix @ vector)


@pytest.mark.parametrize(("x", "y"), [(1.0, 1.0), (-1.2, 1.0), (0.0, 3.0)])
def test_rosenbrock_has_the_hessian_of_the_textbook(x, y):
    point = torch.tensor([x, y], dtype=torch.float64, requires_grad=True)
    by_hand = torch.tensor([[2 - 400 * y + 1200 * x * x, -400 * x], [-400 * x, 200.0]], dtype=torch.float64)
    vector = torch.tensor([0.7, -2.0], dtype=torch.float64)
    product = double_backward(lambda: (1 - point[0]) ** 2 + 100 * (point[1] - point[0] ** 2) ** 2, [point], vector)
    torch.testing.assert_close(product, by_hand @ vector)


@pytest.mark.parametrize(
    "loss",
    [
        pytest.param(lambda a, b: 3 * a.sum() - b.sum(), id="linear in both"),
        pytest.param(lambda a, b: a.sum(), id="linear in one, without the other"),
        pytest.param(lambda a, b: torch.relu(a).sum() + torch.relu(b).sum(), id="piecewise linear"),
    ],
)
def test_a_linear_loss_has_no_curvature(loss):
    a, b = (torch.tensor(values, dtype=torch.float64, requires_grad=True) for values in ([1.0, -2.0], [3.0]))
    product = double_backward(lambda: loss(a, b), [a, b], torch.ones(3, dtype=torch.float64))
    assert torch.equal(product, torch.zeros(3, dtype=torch.float64))


def test_curvature_in_one_parameter_leaves_zeros_for_a_linear_one():
    a, b = (torch.tensor(values, dtype=torch.float64, requires_grad=True) for values in ([1.0, -2.0], [3.0]))
    product = double_backward(lambda: (a**3).sum() + b.sum(), [a, b], torch.ones(3, dtype=torch.float64))
    assert product.tolist() == [6.0, -12.0, 0.0]


def difference_errors(problem, vector, claimed, steps):
    gradient = grad(problem.of_vector)

    def difference(step):
        return (gradient(problem.theta + step * vector) - gradient(problem.theta - step * vector)) / (2 * step)

    return [float((difference(step) - claimed).norm()) for step in steps]


@pytest.mark.parametrize("network", ["tanh", "softmax regression", "unused parameter"])
def test_central_differences_of_the_gradient_approach_the_product_quadratically(network):
    problem = Problem(NETWORKS[network], functional.cross_entropy)
    vector = torch.randn_like(problem.theta)
    coarse, fine = difference_errors(problem, vector, problem.product(vector), (2e-3, 1e-3))
    assert 3.9 < coarse / fine < 4.1


@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param(lambda product: 1.01 * product, id="scaled"),
        pytest.param(lambda product: product.flip(0), id="in another order"),
        pytest.param(torch.zeros_like, id="zero"),
    ],
)
def test_that_check_notices_a_wrong_product(wrong):
    problem = Problem(NETWORKS["tanh"], functional.cross_entropy)
    vector = torch.randn_like(problem.theta)
    coarse, fine = difference_errors(problem, vector, wrong(problem.product(vector)), (2e-3, 1e-3))
    assert coarse / fine < 1.5


def test_gradients_held_by_the_parameters_are_left_alone():
    problem = Problem(NETWORKS["tanh"], functional.cross_entropy)
    problem.loss().backward()
    before = [parameter.grad.clone() for parameter in problem.parameters]
    problem.product(torch.randn_like(problem.theta))
    assert all(torch.equal(p.grad, g) for p, g in zip(problem.parameters, before, strict=True))


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_the_product_stays_on_device_and_in_type(device, dtype):
    problem = Problem(NETWORKS["convolutional"], functional.cross_entropy, dtype=dtype, device=device)
    product = problem.product(torch.randn_like(problem.theta))
    assert (product.device, product.dtype) == (problem.theta.device, dtype)
    assert not product.requires_grad


@pytest.mark.parametrize("shape", [(18,), (20,), (19, 1), (1, 19), ()], ids=str)
def test_a_vector_of_another_shape_is_refused(shape):
    a, b = torch.zeros(4, 4, requires_grad=True), torch.zeros(3, requires_grad=True)
    with pytest.raises(ValueError, match=r"the parameters need \(19,\)"):
        double_backward(lambda: (a**2).sum() + (b**2).sum(), [a, b], torch.zeros(shape))


def test_splitting_follows_the_order_and_shapes_of_the_parameters():
    a, b = split_like(torch.arange(7.0), [torch.zeros(2, 2), torch.zeros(3)])
    assert (a.tolist(), b.tolist()) == ([[0, 1], [2, 3]], [4, 5, 6])
