"""The dense Hessian, the truth of the comparisons, against another way to it and against its own definition."""

import pytest
import torch
from torch.func import functional_call, hessian
from torch.nn import functional

from secondorder.validation.dense import dense_hessian
from secondorder.validation.networks import NETWORKS, initialised


@pytest.fixture(params=NETWORKS)
def case(request):
    model = initialised(lambda: NETWORKS[request.param]([4, 3], "tanh"), seed=1)
    inputs = torch.randn(3, 1, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    return model, inputs, torch.tensor([1, 0, 7])


def flattened_hessian(model, inputs, targets):
    names = [name for name, _ in model.named_parameters()]
    shapes = [parameter.shape for parameter in model.parameters()]
    flat = torch.cat([parameter.detach().reshape(-1) for parameter in model.parameters()])

    def loss(vector):
        pieces = torch.split(vector, [shape.numel() for shape in shapes])
        values = {name: piece.view(shape) for name, piece, shape in zip(names, pieces, shapes, strict=True)}
        return functional.cross_entropy(functional_call(model, values, inputs), targets)

    return hessian(loss)(flat), torch.func.grad(loss)(flat)


def test_matrix_and_gradient_are_those_of_another_differentiation(case):
    truth = dense_hessian(case[0], functional.cross_entropy, *case[1:])
    matrix, gradient = flattened_hessian(*case)
    torch.testing.assert_close(truth.matrix, matrix, rtol=0, atol=1e-13)
    torch.testing.assert_close(truth.gradient, gradient, rtol=0, atol=1e-14)
    assert truth.scale == pytest.approx(float(torch.linalg.eigvalsh(matrix).abs().max()))


@pytest.mark.parametrize("weight_decay", [0.0, 0.3])
def test_newton_direction_solves_the_damped_system(case, weight_decay):
    truth = dense_hessian(case[0], functional.cross_entropy, *case[1:])
    shifted = truth.matrix + (0.7 + weight_decay) * torch.eye(len(truth.matrix), dtype=torch.float64)
    expected = -torch.linalg.solve(shifted, truth.gradient + weight_decay * truth.parameters)
    direction = truth.direction(0.7, "newton", weight_decay)
    torch.testing.assert_close(direction, expected, rtol=1e-9, atol=1e-12)
    assert truth.condition(0.7, "newton", weight_decay) == pytest.approx(float(torch.linalg.cond(shifted)))


def test_absolute_direction_uses_the_root_of_the_square(case):
    truth = dense_hessian(case[0], functional.cross_entropy, *case[1:])
    size = truth.eigenvectors @ torch.diag(truth.eigenvalues.square().sqrt()) @ truth.eigenvectors.T
    expected = -torch.linalg.solve(size + 0.1 * torch.eye(len(size), dtype=torch.float64), truth.gradient)
    torch.testing.assert_close(truth.direction(0.1, "absolute", 0.0), expected, rtol=1e-9, atol=1e-12)
