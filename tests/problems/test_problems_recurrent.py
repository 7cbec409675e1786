"""The recurrent networks are torch's own, written out, and every method has their products with the Hessian."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from secondorder.curvature import HessianVectorProducts
from secondorder.problems import mnist_rnn

CELLS = pytest.mark.parametrize("cell", ["tanh", "lstm"])
METHODS = ["r_operator", "complex_step", "double_backward", "forward_over_reverse", "finite_difference"]


def network_of(cell, hidden):
    torch.manual_seed(0)
    return mnist_rnn.build(mnist_rnn.Settings(cell=cell, hidden=hidden)).network().double()


def images_and_labels():
    generator = torch.Generator().manual_seed(1)
    return torch.randn(3, 1, 28, 28, dtype=torch.float64, generator=generator), torch.tensor([2, 7, 2])


@CELLS
def test_outputs_are_those_of_torch(cell):
    network = network_of(cell, 5)
    reference = {"tanh": nn.RNN, "lstm": nn.LSTM}[cell](28, 5, batch_first=True).double()
    w, b, u, *_ = network[1].parameters()
    with torch.no_grad():
        for own, value in zip(reference.parameters(), (w, u, b, torch.zeros_like(b)), strict=True):
            own.copy_(value)
    images, _ = images_and_labels()
    states, _ = reference(images[:, 0])
    torch.testing.assert_close(network(images), network[2](states[:, -1]))
    assert not torch.allclose(network(images.flip(2)), network(images)), "the order of the rows counts"


@pytest.mark.parametrize(("cell", "count"), [("tanh", 28 * 4 + 4 + 16 + 50), ("lstm", 4 * (28 * 4 + 4 + 16) + 50)])
def test_number_of_parameters(cell, count):
    assert sum(parameter.numel() for parameter in network_of(cell, 4).parameters()) == count


@pytest.fixture(scope="module", params=["tanh", "lstm"])
def dense(request):
    """A network with the dense Hessian of its loss, by reverse over reverse differentiation."""
    network = network_of(request.param, 2)
    parameters = list(network.parameters())
    images, labels = images_and_labels()
    gradients = torch.autograd.grad(functional.cross_entropy(network(images), labels), parameters, create_graph=True)
    gradient = torch.cat([part.flatten() for part in gradients])
    identity = torch.eye(len(gradient), dtype=torch.float64)
    rows = torch.autograd.grad(gradient, parameters, identity, is_grads_batched=True)
    return network, torch.cat([part.flatten(1) for part in rows], dim=1)


@pytest.mark.parametrize("method", METHODS)
def test_every_method_has_the_product_with_the_hessian(dense, method):
    network, hessian = dense
    products = HessianVectorProducts(network, functional.cross_entropy, *images_and_labels(), method=method)
    vector = torch.randn(len(hessian), dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    expected = hessian @ vector
    allowed = 1e-5 if method == "finite_difference" else 1e-12
    assert (products(vector) - expected).norm() <= allowed * expected.norm()
    flipped = vector.clone()
    flipped[-1] *= -1
    assert (products(flipped) - expected).norm() > 1e-4 * expected.norm(), "a wrong vector is noticed"


@CELLS
def test_its_parameters_belong_to_linear_layers(cell):
    network = network_of(cell, 2)
    owners = [module for module in network.modules() if list(module.parameters(recurse=False))]
    assert all(isinstance(module, nn.Linear) for module in owners)
