"""The closed forms of the analytic functions agree with automatic differentiation, and the networks with them."""

import pytest
import torch

from secondorder.curvature.hessian_vector_products import METHODS, HessianVectorProducts
from secondorder.errors import InputError
from secondorder.landscapes.functions import KINDS, quadratic, rosenbrock, strict_saddle
from secondorder.landscapes.networks import least_squares
from secondorder.training.work import Work

FUNCTIONS = {
    "ill-conditioned quadratic": lambda: quadratic(1e6, 10),
    "quadratic in two dimensions": lambda: quadratic(100, 2),
    "Rosenbrock": rosenbrock,
    "strict saddle": lambda: strict_saddle(0.1),
}
ALL = pytest.mark.parametrize("function", [pytest.param(build(), id=name) for name, build in FUNCTIONS.items()])


def points_of(function):
    noise = torch.randn(5, len(function.start), generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return function.start + noise


@ALL
def test_gradient_and_hessian_are_those_of_automatic_differentiation(function):
    for point in points_of(function):
        torch.testing.assert_close(
            function.gradient(point), torch.func.grad(function.value)(point), rtol=1e-12, atol=1e-12
        )
        torch.testing.assert_close(
            function.hessian(point), torch.func.hessian(function.value)(point), rtol=1e-12, atol=1e-12
        )


@ALL
def test_a_gradient_with_one_wrong_sign_is_not_that_of_automatic_differentiation(function):
    point = points_of(function)[0]
    wrong = function.gradient(point)
    wrong[0] *= -1
    assert not torch.allclose(wrong, torch.func.grad(function.value)(point), rtol=1e-6)


@ALL
def test_points_of_any_shape_are_taken_one_by_one(function):
    points = points_of(function)[:4].reshape(2, 2, -1)
    for closed_form in (function.value, function.gradient, function.hessian):
        each = torch.stack([torch.stack([closed_form(point) for point in row]) for row in points])
        torch.testing.assert_close(closed_form(points), each, rtol=1e-13, atol=1e-13)


@ALL
def test_minimisers_are_minima_of_value_zero(function):
    assert function.value(function.minimisers).abs().max() == 0
    assert function.gradient(function.minimisers).abs().max() == 0
    assert torch.linalg.eigvalsh(function.hessian(function.minimisers)).min() > 0


@ALL
def test_training_starts_at_the_start_and_minimises_the_function_over_its_scale(function):
    training = least_squares(function, scale=3.0)
    assert torch.equal(training.point, function.start)
    objective = training.objective(Work(len(training.inputs)))
    loss = objective.loss_and_gradient()
    (parameter,) = training.model.parameters()
    torch.testing.assert_close(loss, function.value(function.start) / 3, rtol=1e-12, atol=1e-14)
    torch.testing.assert_close(parameter.grad.flatten(), function.gradient(function.start) / 3, rtol=1e-9, atol=1e-13)
    assert objective.work.gradient_equivalents == 1


# PyTorch has no forward-mode derivative of the gradient of its mean squared error.
@ALL
@pytest.mark.parametrize("method", [method for method in METHODS if method != "forward_over_reverse"])
def test_products_by_every_method_are_with_the_hessian(function, method):
    training = least_squares(function)
    objective = training.objective(Work(1))
    vector = torch.linspace(-1, 1, len(function.start), dtype=torch.float64)
    product = HessianVectorProducts(training.model, objective.loss_function, training.inputs, training.targets, method)(
        vector
    )
    allowed = 1e-6 if method == "finite_difference" else 1e-11
    torch.testing.assert_close(product, function.hessian(function.start) @ vector, rtol=allowed, atol=allowed)


def test_quadratic_has_the_condition_that_is_asked_for_and_the_largest_eigenvalue_1():
    values = torch.linalg.eigvalsh(quadratic(1e4, 10).hessian(torch.zeros(10, dtype=torch.float64)))
    torch.testing.assert_close(values, torch.logspace(-4, 0, 10, dtype=torch.float64), rtol=1e-10, atol=0)


def test_every_eigendirection_holds_the_same_share_of_a_quadratic_at_its_start():
    function = quadratic(1e4, 10)
    values, vectors = torch.linalg.eigh(function.hessian(function.start))
    shares = values / 2 * (vectors.T @ (function.start - function.minimisers[0])) ** 2 / function.value(function.start)
    torch.testing.assert_close(shares, torch.full_like(shares, 0.1), rtol=1e-8, atol=0)


def test_the_saddle_is_one_and_gradient_descent_on_its_stable_manifold_stays_there():
    function = strict_saddle(0)
    origin = torch.zeros(2, dtype=torch.float64)
    assert function.gradient(origin).tolist() == [0, 0]
    assert torch.linalg.eigvalsh(function.hessian(origin)).tolist() == [-1, 1]
    assert function.value(origin) == 0.25
    assert function.gradient(function.start)[1] == 0


@pytest.mark.parametrize(
    ("kind", "arguments", "line"),
    [
        ("quadratic", {"condition": 0.5, "dimension": 2}, "a quadratic of condition 0.5 in 2 dimensions"),
        ("quadratic", {"condition": 10, "dimension": 1}, "a quadratic of condition 10 in 1 dimensions"),
        ("strict_saddle", {"distance": -1}, "the distance from the stable manifold is -1; give one of at least 0"),
    ],
)
def test_impossible_arguments_are_refused(kind, arguments, line):
    with pytest.raises(InputError, match=line):
        KINDS[kind](**arguments)
