"""Products with the Gauss-Newton matrix are those with a dense JᵀHJ and with another library's, for any module."""

import itertools

import pytest
import torch
from curvature_cases import Elman
from curvlinops import GGNLinearOperator
from torch import nn
from torch.nn import functional
from torch.nn.utils import parameters_to_vector

from secondorder.curvature import GaussNewtonProducts
from secondorder.curvature.fisher_diagonal import fisher_diagonal
from secondorder.curvature.products import double_backward
from secondorder.errors import CapabilityError, InputError

DEVICES = [
    "cpu",
    pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="PyTorch sees no CUDA device")),
]
BATCH, CLASSES, SEED = 5, 3, 7


def perceptron():
    return nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, CLASSES))


def convolutional():
    return nn.Sequential(
        nn.Unflatten(1, (1, 2, 2)), nn.Conv2d(1, 3, 2, padding=1), nn.ReLU(inplace=True), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(3, CLASSES),
    )  # fmt: skip


def recurrent():
    return nn.Sequential(nn.Unflatten(1, (2, 2)), Elman(2, 4), nn.Linear(4, CLASSES))


def with_batch_norm():
    return nn.Sequential(nn.Linear(4, 5), nn.BatchNorm1d(5), nn.Tanh(), nn.Linear(5, CLASSES))


def with_dropout():
    return nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Dropout(0.4), nn.Linear(8, CLASSES))


def partly_frozen():
    model = perceptron()
    model[0].requires_grad_(False)
    return model


def one_hot(targets):
    return functional.one_hot(targets, CLASSES).double()


def squared_error(outputs, targets):
    return functional.mse_loss(outputs, one_hot(targets))


def binary(outputs, targets):
    return functional.binary_cross_entropy_with_logits(outputs, one_hot(targets))


def coupled(outputs, targets):
    """A loss that mixes samples and has no name."""
    return (outputs.sum(0).cosh().sum() + (outputs * one_hot(targets)).exp().mean()).log()


LOSSES = {"cross-entropy": functional.cross_entropy, "squared error": squared_error, "binary": binary, "any": coupled}
CASES = [pytest.param(perceptron, loss, id=f"perceptron-{name}") for name, loss in LOSSES.items()]
CASES += [
    pytest.param(network, functional.cross_entropy, id=network.__name__)
    for network in (convolutional, recurrent, with_batch_norm, with_dropout, partly_frozen)
]


class Problem:
    """A network with a batch, its products, and J and ∇²_z L as dense matrices, from rows of first derivatives."""

    def __init__(self, network=perceptron, loss=functional.cross_entropy, device="cpu"):
        torch.manual_seed(0)
        self.model, self.loss = network().double().to(device), loss
        self.inputs, self.targets = torch.randn(BATCH, 4).double().to(device), (torch.arange(BATCH) % 3).to(device)
        self.parameters = [p for p in self.model.parameters() if p.requires_grad]
        self.vector = torch.randn(sum(p.numel() for p in self.parameters)).double().to(device)

    def products(self):
        torch.manual_seed(SEED)
        return GaussNewtonProducts(self.model, self.loss, self.inputs, self.targets)

    def outputs(self):
        torch.manual_seed(SEED)
        return self.model(self.inputs)

    def jacobian(self):
        outputs = self.outputs()
        rows = [torch.autograd.grad(z, self.parameters, retain_graph=True) for z in outputs.flatten()]
        return torch.stack([parameters_to_vector(row) for row in rows])

    def dense(self):
        jacobian, outputs = self.jacobian(), self.outputs().detach()
        curvature = torch.autograd.functional.hessian(lambda z: self.loss(z, self.targets), outputs)
        return jacobian.T @ curvature.view(outputs.numel(), -1) @ jacobian


@pytest.mark.parametrize(("network", "loss"), CASES)
def test_a_product_is_that_with_the_dense_matrix(network, loss):
    problem = Problem(network, loss)
    products, matrix = problem.products(), problem.dense()
    for vector in (problem.vector, -2 * problem.vector):
        torch.testing.assert_close(products(vector), matrix @ vector, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(("network", "loss"), CASES)
def test_loss_and_gradient_are_those_of_autograd(network, loss):
    problem = Problem(network, loss)
    products, value = problem.products(), loss(problem.outputs(), problem.targets)
    torch.testing.assert_close(products.loss, value.detach(), rtol=1e-13, atol=0)
    gradient = parameters_to_vector(torch.autograd.grad(value, problem.parameters))
    torch.testing.assert_close(products.gradient, gradient, rtol=1e-11, atol=1e-14)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("network", [perceptron, convolutional])
def test_a_product_is_that_of_curvlinops(network, device):
    problem = Problem(network, device=device)
    data = [(problem.inputs, problem.targets)]
    operator = GGNLinearOperator(problem.model, nn.CrossEntropyLoss(), problem.parameters, data)
    torch.testing.assert_close(problem.products()(problem.vector), operator @ problem.vector, rtol=1e-10, atol=1e-12)


def test_those_comparisons_notice_the_hessian_in_its_place():
    problem = Problem()
    hessian = double_backward(
        lambda: functional.cross_entropy(problem.outputs(), problem.targets), problem.parameters, problem.vector
    )
    assert (hessian - problem.dense() @ problem.vector).norm() > 1e-2 * hessian.norm()


def test_an_output_gradient_is_pulled_back_by_the_transposed_jacobian():
    problem = Problem(with_dropout)
    weights = torch.randn(BATCH, CLASSES).double()
    found = problem.products().pulled_back(weights)
    torch.testing.assert_close(found, problem.jacobian().T @ weights.flatten(), rtol=1e-10, atol=1e-12)


def test_running_statistics_move_once():
    problem = Problem(with_batch_norm)
    products = problem.products()
    products(problem.vector)
    products(problem.vector)
    assert int(problem.model[1].num_batches_tracked) == 1


# The diagonal of the empirical Fisher matrix


def per_sample_gradients(problem):
    values = [functional.cross_entropy(problem.outputs()[i : i + 1], problem.targets[i : i + 1]) for i in range(BATCH)]
    return torch.stack([parameters_to_vector(torch.autograd.grad(value, problem.parameters)) for value in values])


@pytest.mark.parametrize("network", [perceptron, recurrent, with_batch_norm, with_dropout])
def test_over_all_signs_the_fisher_diagonal_is_the_mean_of_squared_sample_gradients(network):
    problem = Problem(network)
    signs = torch.tensor(list(itertools.product([-1.0, 1.0], repeat=BATCH))).double()
    expected = per_sample_gradients(problem).square().mean(0)
    torch.testing.assert_close(fisher_diagonal(problem.products(), signs), expected, rtol=1e-10, atol=1e-15)


def test_that_comparison_notices_signs_that_are_all_the_same():
    problem = Problem()
    found = fisher_diagonal(problem.products(), torch.ones(1, BATCH).double())
    expected = per_sample_gradients(problem).square().mean(0)
    assert (found - expected).norm() > 0.1 * expected.norm()


# What it refuses


class Two(nn.Linear):
    """Returns its output twice."""

    def forward(self, inputs):
        return super().forward(inputs), super().forward(inputs)


@pytest.mark.parametrize(
    ("network", "loss", "error", "message"),
    [
        pytest.param(lambda: Two(4, 3), None, InputError, "output is a tuple; .*needs one tensor", id="two outputs"),
        pytest.param(
            perceptron,
            lambda z, _: functional.cross_entropy(z, _, reduction="none"),
            InputError,
            r"the loss is of shape \(5,\)",
            id="loss per sample",
        ),
        pytest.param(perceptron, lambda z, _: z.sum() * torch.inf, InputError, "the loss is -?inf", id="infinite"),
        pytest.param(
            perceptron, lambda z, _: z.detach().sum(), InputError, "does not depend on the outputs", id="no dependence"
        ),
    ],
)
def test_what_it_cannot_differentiate_is_refused(network, loss, error, message):
    with pytest.raises(error, match=message):
        Problem(network, loss).products()


def test_a_loss_that_uses_parameters_is_refused():
    problem = Problem()
    problem.loss = lambda z, t: functional.cross_entropy(z, t) + problem.parameters[0].square().sum()
    with pytest.raises(CapabilityError, match="uses parameters besides the model's outputs"):
        problem.products()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        pytest.param(lambda vector: vector[:-1], r"the vector has shape \(\d+,\); it needs", id="shape"),
        pytest.param(lambda vector: vector.float(), "of torch.float32 and the parameters of torch.float64", id="dtype"),
        pytest.param(lambda vector: vector.tolist(), "the vector is a list", id="no tensor"),
    ],
)
def test_a_vector_that_does_not_fit_is_refused(change, message):
    problem = Problem()
    with pytest.raises(InputError, match=message):
        problem.products()(change(problem.vector))


def test_products_from_before_a_step_are_refused():
    problem = Problem()
    products = problem.products()
    with torch.no_grad():
        for parameter in problem.parameters:
            parameter.add_(1)
    with pytest.raises(InputError, match="changed in place since they were made; make them anew after every step"):
        products(problem.vector)


def test_targets_of_another_shape_are_the_mistake_that_the_loss_reports():
    problem = Problem()
    problem.targets = problem.targets[:-1]
    with pytest.raises(ValueError, match="batch_size"):
        problem.products()


def test_a_loss_may_change_its_outputs_in_place():
    problem = Problem(loss=lambda outputs, targets: outputs.sub_(one_hot(targets)).square().mean())
    expected = Problem(loss=squared_error).products()(problem.vector)
    assert torch.allclose(problem.products()(problem.vector), expected, rtol=1e-12)


def test_weights_of_another_shape_are_refused():
    problem = Problem()
    with pytest.raises(InputError, match=r"the weights have shape \(3,\); the outputs have \(5, 3\)"):
        problem.products().pulled_back(torch.zeros(3).double())
