"""Products are those of two other libraries, in single precision, on every network whose Hessian is approximated.

curvlinops differentiates the gradient forwards, BackPACK its product with a vector backwards, twice. Neither shares
code with the complex step and the R-operator of this project.
"""

import copy

import pytest
import torch
from backpack.hessianfree.hvp import hessian_vector_product as backpack_product
from torch.nn.utils import parameters_to_vector

from secondorder import problems
from secondorder.curvature.flat_vectors import split_like
from secondorder.curvature.hessian_vector_products import hessian_vector_product
from secondorder.curvature.products import double_backward
from secondorder.validation.library_products import curvlinops_products

TOLERANCE = 1e-6
BATCH = 4
NETWORKS = {
    "784-128-64-10 relu": ("mnist_mlp", {}, (1, 28, 28)),
    "784-16-10 tanh": ("mnist_mlp", {"hidden": "16", "activation": "tanh"}, (1, 28, 28)),
    "LeNet-5": ("mnist_lenet5", {}, (1, 28, 28)),
    "3c3d": ("cifar10_3c3d", {}, (3, 32, 32)),
}
OWN = ["complex_step", "r_operator"]


def by_curvlinops(model, loss, inputs, targets, vector):
    return curvlinops_products(model, loss, inputs, targets)(vector)


def by_backpack(model, loss, inputs, targets, vector):
    parameters = list(model.parameters())
    pieces = backpack_product(loss(model(inputs), targets), parameters, split_like(vector, parameters))
    return parameters_to_vector([piece.contiguous() for piece in pieces])


LIBRARIES = {"curvlinops": by_curvlinops, "BackPACK": by_backpack}


@pytest.fixture(scope="module", params=NETWORKS)
def case(request):
    """A network with a batch, its products by every way, and the true one: double backward in float64."""
    name, settings, shape = NETWORKS[request.param]
    module = problems.load(name)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        problem = module.build(module.Settings(**settings))
        model = problem.network()
        inputs = torch.randn(BATCH, *shape)
        vector = torch.randn(sum(parameter.numel() for parameter in model.parameters()))
    batch = (problem.loss, inputs, torch.arange(BATCH))
    products = {name: product(model, *batch, vector) for name, product in LIBRARIES.items()}
    products |= {name: hessian_vector_product(model, *batch, vector, name, check=False) for name in OWN}
    exact = copy.deepcopy(model).double()
    truth = double_backward(
        lambda: problem.loss(exact(inputs.double()), batch[-1]), list(exact.parameters()), vector.double()
    )
    return products, truth


def distance(product, other):
    """How far products are apart, relative to the length of the second."""
    return float((product.double() - other.double()).norm() / other.double().norm())


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("method", OWN)
def test_a_product_is_that_of_the_library(case, method, library):
    products, _ = case
    assert products[method].dtype == products[library].dtype == torch.float32
    assert distance(products[method], products[library]) <= TOLERANCE


@pytest.mark.parametrize("way", [*LIBRARIES, *OWN])
def test_a_product_is_that_of_double_precision(case, way):
    products, truth = case
    assert distance(products[way], truth) <= TOLERANCE


@pytest.mark.parametrize("library", LIBRARIES)
def test_those_checks_notice_a_wrong_sign_in_the_smallest_part(case, library):
    products, truth = case
    # The biases of the last layer: 10 numbers of up to 895,210.
    wrong = products["r_operator"].clone()
    wrong[-10:] *= -1
    assert distance(wrong, products[library]) > 10 * TOLERANCE
    assert distance(wrong, truth) > 10 * TOLERANCE
