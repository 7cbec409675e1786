"""Element-wise functions: derivatives agree with autograd, continuations with torch's complex functions."""

import math

import pytest
import torch

from secondorder.analytic import elementwise
from secondorder.analytic.elementwise import PiecewiseLinear, complex_product

X = torch.linspace(-3.1, 3.3, 41, dtype=torch.float64)
POSITIVE = X.abs() + 0.05
SMOOTH = [
    pytest.param(elementwise.Exponential(), torch.exp, X, id="exp"),
    pytest.param(elementwise.ExponentialMinusOne(), torch.expm1, X, id="expm1"),
    pytest.param(elementwise.Logarithm(), torch.log, POSITIVE, id="log"),
    pytest.param(elementwise.LogarithmOfOnePlus(), torch.log1p, POSITIVE - 0.9, id="log1p"),
    pytest.param(elementwise.Power(0.5), torch.sqrt, POSITIVE, id="sqrt"),
    pytest.param(elementwise.Power(-0.5), torch.rsqrt, POSITIVE, id="rsqrt"),
    pytest.param(
        elementwise.Power(-1.0), torch.reciprocal, X.sign() * (X.abs() + 0.4), id="reciprocal, also of negative numbers"
    ),
    pytest.param(elementwise.Power(2.7), lambda z: z**2.7, POSITIVE, id="power 2.7"),
    pytest.param(elementwise.HyperbolicTangent(), torch.tanh, X, id="tanh"),
    pytest.param(
        elementwise.ExponentialLinearUnit(0.7, 1.3),
        lambda z: 0.7 * (torch.exp(z / 1.3) - 1),
        -POSITIVE,
        id="elu below 0",
    ),
    pytest.param(elementwise.Sigmoid(), torch.sigmoid, X, id="sigmoid"),
    pytest.param(elementwise.Softplus(), lambda z: torch.log(1 + torch.exp(z)), X, id="softplus"),
    pytest.param(elementwise.Sine(), torch.sin, X, id="sin"),
    pytest.param(elementwise.Cosine(), torch.cos, X, id="cos"),
]
ERROR_FUNCTION = pytest.param(elementwise.ErrorFunction(), torch.erf, X, id="erf")
RELU = PiecewiseLinear(torch.relu, lambda x: x > 0)


def derivatives(function, x):
    x = x.clone().requires_grad_()
    (first,) = torch.autograd.grad(function(x).sum(), x, create_graph=True)
    (second,) = torch.autograd.grad(first.sum(), x)
    return first.detach(), second


@pytest.mark.parametrize(("function", "of_torch", "x"), [*SMOOTH, ERROR_FUNCTION])
def test_value_and_two_derivatives_are_those_of_autograd(function, of_torch, x):
    first, second = derivatives(of_torch, x)
    torch.testing.assert_close(function.value(x), of_torch(x), rtol=1e-13, atol=1e-14)
    torch.testing.assert_close(function.derivative(x), first, rtol=1e-12, atol=1e-14)
    torch.testing.assert_close(function.second_derivative(x), second, rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("height", [0.0, 1e-3, 0.2, -0.4])
@pytest.mark.parametrize(("function", "of_torch", "x"), SMOOTH)
def test_the_continuation_is_the_complex_function_of_torch(function, of_torch, x, height):
    y = torch.full_like(x, height)
    # expm1 and log1p have no complex form there.
    complex_forms = {torch.expm1: lambda z: torch.exp(z) - 1, torch.log1p: lambda z: torch.log(1 + z)}
    truth = complex_forms.get(of_torch, of_torch)(torch.complex(x, y))
    real, imaginary = function.continuation(x, y)
    torch.testing.assert_close(real, truth.real, rtol=1e-12, atol=1e-14)
    torch.testing.assert_close(imaginary, truth.imag, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("height", [1e-3, 0.2, -0.4])
@pytest.mark.parametrize(("function", "of_torch", "x"), [*SMOOTH, ERROR_FUNCTION])
def test_the_continued_derivative_is_that_of_the_continuation(function, of_torch, x, height):
    # A central difference of fourth order along the real axis, of both planes.
    y, step = torch.full_like(x, height), 2e-4
    weights = {-2: 1 / 12, -1: -2 / 3, 1: 2 / 3, 2: -1 / 12}
    for plane in (0, 1):
        slope = sum(w * function.continuation(x + k * step, y)[plane] for k, w in weights.items()) / step
        torch.testing.assert_close(function.continued_derivative(x, y)[plane], slope, rtol=1e-7, atol=1e-8)


@pytest.mark.parametrize("height", [1e-6, 1e-2, 0.3, 1.5])
def test_the_error_function_follows_its_derivative_along_the_imaginary_axis(height):
    # erf(x + iy) − erf(x) = i ∫₀^y erf'(x + is) ds, here by Simpson's rule.
    nodes = torch.linspace(0, height, 2001, dtype=torch.float64)
    weights = torch.ones(2001, dtype=torch.float64)
    weights[1:-1:2], weights[2:-1:2] = 4, 2
    weights = weights * height / 2000 / 3
    slope = 2 / math.sqrt(math.pi) * torch.exp(-(torch.complex(X[:, None], nodes.expand(41, -1)) ** 2))
    integral = 1j * (slope * weights).sum(1)
    real, imaginary = elementwise.ErrorFunction().continuation(X, torch.full_like(X, height))
    torch.testing.assert_close(real, X.erf() + integral.real, rtol=1e-10, atol=1e-11)
    torch.testing.assert_close(imaginary, integral.imag, rtol=1e-10, atol=1e-11)


@pytest.mark.parametrize("height", [1e-8, 1e-20, 1e-100, 1e-200])
@pytest.mark.parametrize(("function", "of_torch", "x"), [*SMOOTH, ERROR_FUNCTION])
def test_a_tiny_imaginary_part_keeps_all_its_digits(function, of_torch, x, height):
    first, second = derivatives(of_torch, x)
    y = torch.full_like(x, height)
    torch.testing.assert_close(function.continuation(x, y)[1] / height, first, rtol=1e-12, atol=1e-13)
    torch.testing.assert_close(function.continued_derivative(x, y)[1] / height, second, rtol=1e-11, atol=1e-12)


def test_that_comparison_notices_a_cancellation():
    y = torch.full_like(X, 1e-20)
    by_difference = (torch.complex(X, y) + 1).imag - 1 + 1
    assert (by_difference / 1e-20 - 1).abs().max() > 0.5


@pytest.mark.parametrize("x", [-800.0, -60.0, 40.0, 800.0])
@pytest.mark.parametrize(
    "function",
    [elementwise.HyperbolicTangent(), elementwise.Sigmoid(), elementwise.Softplus(), elementwise.ErrorFunction()],
    ids=lambda function: type(function).__name__,
)
def test_far_from_zero_everything_is_finite(function, x):
    x, y = torch.tensor([x], dtype=torch.float64), torch.tensor([1e-20], dtype=torch.float64)
    found = (*function.continuation(x, y), *function.continued_derivative(x, y))
    assert all(torch.isfinite(part).all() for part in found)
    assert torch.isfinite(function.derivative(x)).all()
    assert torch.isfinite(function.second_derivative(x)).all()


def test_softplus_is_straight_above_its_threshold():
    x, y = torch.tensor([19.0, 21.0], dtype=torch.float64), torch.tensor([0.1, 0.1], dtype=torch.float64)
    function = elementwise.Softplus(20.0)
    assert function.value(x)[1] == 21
    assert function.second_derivative(x)[1] == 0
    assert [float(part[1]) for part in function.continuation(x, y)] == [21.0, 0.1]
    assert [float(part[1]) for part in function.continued_derivative(x, y)] == [1.0, 0.0]


def test_a_piecewise_linear_function_branches_on_the_real_part():
    x, y = torch.tensor([-1.0, 2.0]), torch.tensor([5.0, -7.0])
    real, imaginary = RELU.continuation(x, y)
    assert (real.tolist(), imaginary.tolist()) == ([0, 2], [0, -7])
    assert RELU.second_derivative(x) is None


def test_the_complex_product_is_that_of_torch():
    a, b, c, d = torch.randn(4, 5, dtype=torch.float64)
    real, imaginary = complex_product((a, b), (c, d))
    torch.testing.assert_close(torch.complex(real, imaginary), torch.complex(a, b) * torch.complex(c, d))
