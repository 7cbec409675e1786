"""Hessian-vector products of one network by five methods: one product, one set of errors."""

import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils import parameters_to_vector

from secondorder.analytic.elementwise import HyperbolicTangent
from secondorder.analytic.operations import PRIMITIVES
from secondorder.analytic.tracing import Recorder
from secondorder.curvature import METHODS, HessianVectorProducts, hessian_vector_product
from secondorder.curvature.products import double_backward
from secondorder.errors import CapabilityError, ConfigurationError, InputError
from secondorder.training.objective import Objective
from secondorder.training.work import Work

DEVICES = [
    "cpu",
    pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="PyTorch sees no CUDA device")),
]
TAPES = ["complex_step", "r_operator"]
STEPPING = ["complex_step", "finite_difference"]
LIMITS = dict.fromkeys(METHODS, 1e-12) | {"finite_difference": 1e-7}


def network():
    return nn.Sequential(
        nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.Tanh(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(12, 5), nn.Sigmoid(),
        nn.Linear(5, 3),
    )  # fmt: skip


def with_dropout():
    return nn.Sequential(nn.Flatten(), nn.Linear(36, 6), nn.Tanh(), nn.Dropout(0.5), nn.Linear(6, 3))


class Problem:
    """A network, a batch and a vector, and the product by double backward."""

    def __init__(self, make=network, dtype=torch.float64, device="cpu", samples=6):
        torch.manual_seed(0)
        self.model = make().to(device, dtype)
        self.inputs = torch.randn(samples, 1, 6, 6, dtype=dtype, device=device)
        self.targets = torch.arange(samples, device=device) % 3
        self.parameters = [parameter for parameter in self.model.parameters() if parameter.requires_grad]
        self.vector = torch.randn(sum(p.numel() for p in self.parameters)).to(device, dtype)

    def products(self, method="r_operator", step=None, loss=functional.cross_entropy, **settings):
        return HessianVectorProducts(self.model, loss, self.inputs, self.targets, method, step, **settings)

    def loss(self):
        return functional.cross_entropy(self.model(self.inputs), self.targets)

    def truth(self):
        return double_backward(self.loss, self.parameters, self.vector)


def relative_error(found, truth):
    return float((found - truth).norm() / truth.norm())


@pytest.mark.parametrize("method", METHODS)
def test_every_method_has_the_product_of_double_backward(method):
    problem = Problem()
    assert relative_error(problem.products(method)(problem.vector), problem.truth()) < LIMITS[method]


@pytest.mark.parametrize("method", METHODS)
def test_loss_and_gradient_are_those_of_autograd(method):
    problem = Problem()
    products = problem.products(method)
    loss = problem.loss()
    gradient = parameters_to_vector(torch.autograd.grad(loss, problem.parameters))
    torch.testing.assert_close(products.loss, loss.detach(), rtol=1e-13, atol=0)
    torch.testing.assert_close(products.gradient, gradient, rtol=1e-11, atol=1e-14)
    assert not products.loss.requires_grad
    assert not products.gradient.requires_grad


@pytest.mark.parametrize("method", METHODS)
def test_the_function_is_one_product_of_the_class(method):
    problem = Problem()
    one = hessian_vector_product(
        problem.model, functional.cross_entropy, problem.inputs, problem.targets, problem.vector, method
    )
    assert torch.equal(one, problem.products(method)(problem.vector))


@pytest.mark.parametrize("method", METHODS)
def test_products_are_symmetric(method):
    problem = Problem()
    products, other = problem.products(method), torch.randn_like(problem.vector)
    left, right = other @ products(problem.vector), problem.vector @ products(other)
    torch.testing.assert_close(left, right, rtol=1e-6 if method == "finite_difference" else 1e-11, atol=1e-12)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("scale", [1e-30, 1.0, 1e30])
def test_products_are_linear_at_every_scale(method, scale):
    problem = Problem()
    products = problem.products(method)
    assert relative_error(products(scale * problem.vector) / scale, products(problem.vector)) < 1e-12


@pytest.mark.parametrize("method", METHODS)
def test_a_zero_vector_has_a_product_of_zeros(method):
    problem = Problem()
    assert torch.equal(problem.products(method)(torch.zeros_like(problem.vector)), torch.zeros_like(problem.vector))


@pytest.mark.parametrize("step", [1e-8, 1e-20, 1e-100, 1e-200, 1e-290])
def test_the_complex_step_is_exact_at_any_step(step):
    problem = Problem()
    assert relative_error(problem.products("complex_step", step)(problem.vector), problem.truth()) < 1e-14


@pytest.mark.parametrize("method", STEPPING)
def test_the_step_does_not_grow_with_the_vector(method):
    problem = Problem()
    products = problem.products(method, 1e-3)
    assert relative_error(products(1000 * problem.vector) / 1000, products(problem.vector)) < 1e-9


def test_finite_differences_err_quadratically_in_the_step():
    problem, truth = Problem(), Problem().truth()
    coarse, fine = (
        relative_error(problem.products("finite_difference", step)(problem.vector), truth) for step in (2e-3, 1e-3)
    )
    assert 3.9 < coarse / fine < 4.1


@pytest.mark.parametrize("method", METHODS)
def test_dropout_draws_its_masks_once(method):
    problem = Problem(with_dropout)
    torch.manual_seed(7)
    products = problem.products(method)
    torch.manual_seed(7)
    truth = problem.truth()
    for _ in range(2):
        assert relative_error(products(problem.vector), truth) < LIMITS[method]


@pytest.mark.parametrize("method", METHODS)
def test_a_generator_moves_as_far_as_in_one_evaluation(method):
    problem = Problem(with_dropout)
    torch.manual_seed(7)
    problem.products(method)(problem.vector)
    found = torch.get_rng_state()
    torch.manual_seed(7)
    problem.loss()
    assert torch.equal(found, torch.get_rng_state())


@pytest.mark.parametrize("method", METHODS)
def test_running_statistics_move_once(method):
    problem, reference = Problem(), Problem()
    reference.loss()
    products = problem.products(method)
    products(problem.vector)
    for found, expected in zip(problem.model.buffers(), reference.model.buffers(), strict=True):
        torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("make", [network, with_dropout], ids=["batch norm", "dropout"])
@pytest.mark.parametrize("method", METHODS)
def test_an_objective_lends_its_context(method, make):
    problem = Problem(make)
    objective = Objective(problem.model, functional.cross_entropy, problem.inputs, problem.targets, Work(6))
    with objective.same_function():
        truth = problem.truth()
    products = problem.products(method, same_function=objective.same_function)
    assert relative_error(products(problem.vector), truth) < LIMITS[method]


@pytest.mark.parametrize("method", METHODS)
def test_parameters_and_their_gradients_are_left_alone(method):
    problem = Problem()
    problem.loss().backward()
    before = [(p.detach().clone(), p.grad.clone()) for p in problem.parameters]
    problem.products(method)(problem.vector)
    for parameter, (value, gradient) in zip(problem.parameters, before, strict=True):
        assert torch.equal(parameter, value)
        assert torch.equal(parameter.grad, gradient)


@pytest.mark.parametrize("method", METHODS)
def test_a_graph_made_before_stays_valid(method):
    problem = Problem(with_dropout)
    loss = problem.loss()
    problem.products(method)(problem.vector)
    loss.backward()
    assert all(parameter.grad.norm() > 0 for parameter in problem.parameters)


@pytest.mark.parametrize("method", TAPES)
def test_products_on_a_tape_stay_at_their_point(method):
    problem = Problem()
    products = problem.products(method)
    before = products(problem.vector)
    with torch.no_grad():
        for parameter in problem.parameters:
            parameter.mul_(2)
    assert torch.equal(products(problem.vector), before)


@pytest.mark.parametrize("method", METHODS)
def test_without_gradients_outside_products_are_the_same(method):
    problem = Problem()
    expected = problem.products(method)(problem.vector)
    with torch.no_grad():
        assert torch.equal(problem.products(method)(problem.vector), expected)


@pytest.mark.parametrize("method", METHODS)
def test_a_frozen_layer_has_no_entries(method):
    problem = Problem()
    problem.model[5].requires_grad_(False)
    problem.parameters = [parameter for parameter in problem.model.parameters() if parameter.requires_grad]
    problem.vector = problem.vector[: sum(p.numel() for p in problem.parameters)]
    assert relative_error(problem.products(method)(problem.vector), problem.truth()) < LIMITS[method]


@pytest.mark.parametrize("method", METHODS)
def test_a_penalty_within_the_loss_is_seen(method):
    problem = Problem(with_dropout)
    problem.model.eval()

    def loss(outputs, targets):
        penalty = sum(parameter.square().sum() for parameter in problem.model.parameters())
        return functional.cross_entropy(outputs, targets) + penalty

    truth = problem.truth() + 2 * problem.vector
    assert relative_error(problem.products(method, loss=loss)(problem.vector), truth) < LIMITS[method]


@pytest.mark.parametrize("method", METHODS)
def test_a_loss_that_uses_no_parameter_has_no_curvature(method):
    problem = Problem(with_dropout)
    products = problem.products(method, loss=lambda z, t: torch.ones((), dtype=torch.float64))
    assert torch.equal(products(problem.vector), torch.zeros_like(problem.vector))


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("method", METHODS)
def test_products_stay_on_device_and_in_type(method, dtype, device):
    problem = Problem(dtype=dtype, device=device)
    product = problem.products(method)(problem.vector)
    assert (product.device, product.dtype) == (problem.vector.device, dtype)
    # The step of a difference in single precision crosses kinks of max-pooling.
    if method != "finite_difference":
        assert relative_error(product, problem.truth()) < {torch.float32: 1e-4, torch.float64: 1e-12}[dtype]


class Hooked(nn.Module):
    """Changes the gradient that passes."""

    def forward(self, inputs):
        return Halved.apply(inputs)


class Halved(torch.autograd.Function):
    """Multiplies by 1, with half of the derivative."""

    @staticmethod
    def forward(context, inputs):
        return inputs * 1

    @staticmethod
    def backward(context, gradient):
        return gradient / 2


@pytest.mark.parametrize("check", [True, False])
@pytest.mark.parametrize("method", TAPES)
def test_a_derivative_of_its_own_is_refused(method, check):
    problem = Problem(lambda: nn.Sequential(nn.Flatten(), nn.Linear(36, 3), Hooked()))
    with pytest.raises(CapabilityError, match=r"module '2': .*custom autograd\.Function"):
        problem.products(method, check=check)


@pytest.mark.parametrize("method", TAPES)
def test_a_gradient_that_differs_from_autograd_is_refused(method, monkeypatch):
    monkeypatch.setattr(HyperbolicTangent, "derivative", lambda _, x: 1 - x.tanh() ** 2 + 1e-5)
    problem = Problem()
    with pytest.raises(CapabilityError, match="differs from PyTorch's"):
        problem.products(method)


WRONG_RULES = {
    "second derivative": (
        "second_derivative", lambda _, x: -1.9 * x.tanh() * (1 - x.tanh() ** 2), "r_operator", "product"
    ),
    "continued derivative": (
        "continued_derivative", lambda _, x, y: (1 - x.tanh() ** 2, -1.9 * y * x.tanh()), "complex_step", "product"
    ),
    "value": ("value", lambda _, x: x.tanh() + 1e-4, "r_operator", "loss"),
}  # fmt: skip


@pytest.mark.parametrize(("rule", "wrong", "method", "name"), WRONG_RULES.values(), ids=WRONG_RULES.keys())
def test_a_wrong_rule_is_noticed(rule, wrong, method, name, monkeypatch):
    monkeypatch.setattr(HyperbolicTangent, rule, wrong)
    with pytest.raises(CapabilityError, match=f"the {name} of the recorded operations differs from PyTorch's"):
        Problem().products(method)


@pytest.mark.parametrize("method", TAPES)
def test_an_inner_product_taken_for_a_matrix_product_is_noticed(method, monkeypatch):
    monkeypatch.setitem(PRIMITIVES, torch.inner, PRIMITIVES[torch.matmul])
    problem = Problem(lambda: nn.Sequential(nn.Flatten(), nn.Linear(36, 3), nn.Tanh(), nn.Linear(3, 3)))
    # The product of the identity with itself is the same in value and gradient.
    nn.init.eye_(problem.model[3].weight)

    def loss(outputs, targets):
        weight = problem.model[3].weight
        return functional.cross_entropy(outputs, targets) + torch.inner(weight, weight).trace()

    with pytest.raises(CapabilityError, match="the product of the recorded operations differs"):
        problem.products(method, loss=loss)


@pytest.mark.parametrize("method", TAPES)
def test_arguments_kept_by_reference_are_noticed(method, monkeypatch):
    monkeypatch.setattr(Recorder, "_frozen", lambda _, arguments, tensors: arguments)
    columns = [0]

    def loss(outputs, targets):
        total = 0
        for k in range(3):
            columns[0] = k
            total = total + (outputs[:, columns] ** (k + 2)).sum()
        return total

    with pytest.raises(CapabilityError, match="of the recorded operations differs"):
        Problem().products(method, loss=loss)


@pytest.mark.parametrize("method", TAPES)
def test_inputs_that_are_changed_in_place_are_noticed(method):
    problem = Problem()
    products = problem.products(method)
    problem.inputs.mul_(3)
    with pytest.raises(InputError, match=r"shape \(6, 1, 6, 6\) .* changed in place since the products were made"):
        products(problem.vector)


class Growing(nn.Module):
    """Scales by a buffer that grows at each call."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(36, 3)
        self.register_buffer("scale", torch.ones(3))

    def forward(self, inputs):
        self.scale.mul_(1.5)
        return (self.layer(inputs.flatten(1)) * self.scale).tanh()


@pytest.mark.parametrize("method", METHODS)
def test_a_buffer_that_moves_is_the_same_in_every_evaluation(method):
    problem = Problem(Growing)
    products = problem.products(method)
    assert torch.equal(problem.model.scale, torch.full((3,), 1.5, dtype=torch.float64))
    problem.model.scale.fill_(1.0)
    truth = problem.truth()
    fresh = Problem(Growing).products(method)
    assert relative_error(fresh(problem.vector), truth) < LIMITS[method]
    assert torch.isfinite(products.gradient).all()


def test_forward_mode_makes_no_product_before_it_is_asked(monkeypatch):
    monkeypatch.setattr(torch.func, "jvp", None)
    Problem().products("forward_over_reverse", check=False)


@pytest.mark.parametrize("method", TAPES)
def test_a_wrong_gradient_at_a_kink_is_refused(method, monkeypatch):
    problem = Problem(lambda: nn.Sequential(nn.Flatten(), nn.Linear(36, 3), nn.ReLU()))
    nn.init.zeros_(problem.model[1].weight)
    nn.init.zeros_(problem.model[1].bias)
    monkeypatch.setattr("secondorder.analytic.operations._is_positive", lambda x: x >= 0)
    with pytest.raises(CapabilityError, match="differs from PyTorch's"):
        problem.products(method)


def at_a_minimum():
    problem = Problem(lambda: nn.Sequential(nn.Flatten(), nn.Linear(36, 3)))
    targets = torch.randn(6, 3, dtype=torch.float64)
    solution = torch.linalg.lstsq(problem.inputs.flatten(1), targets).solution
    with torch.no_grad():
        problem.model[1].weight.copy_(solution.T)
        problem.model[1].bias.zero_()
    problem.targets = targets
    return problem


@pytest.mark.parametrize("method", TAPES)
def test_a_vanishing_gradient_is_no_difference(method):
    problem = at_a_minimum()
    products = problem.products(method, loss=functional.mse_loss)
    assert products.gradient.norm() < 1e-12
    assert products(problem.vector).norm() > 0.1


def test_forward_mode_refuses_a_module_of_two_names():
    layer = nn.Linear(6, 6)
    problem = Problem(lambda: nn.Sequential(nn.Flatten(), nn.Linear(36, 6), layer, nn.Tanh(), layer))
    with pytest.raises(CapabilityError, match=r"module 'model\.4': it has two names|module '4': it has two names"):
        problem.products("forward_over_reverse")


@pytest.mark.parametrize("check", [True, False])
def test_forward_mode_refuses_layer_norm(check):
    problem = Problem(lambda: nn.Sequential(nn.Flatten(), nn.Linear(36, 3), nn.LayerNorm(3)))
    with pytest.raises(CapabilityError, match="layer_norm is wrong; use the method 'r_operator'"):
        problem.products("forward_over_reverse", check=check)(problem.vector)


class Recurrent(nn.Module):
    """A recurrent network of one fused function."""

    def __init__(self):
        super().__init__()
        self.lstm, self.readout = nn.LSTM(6, 4, batch_first=True), nn.Linear(4, 3)

    def forward(self, inputs):
        return self.readout(self.lstm(inputs.squeeze(1))[0][:, -1])


@pytest.mark.parametrize("method", TAPES)
def test_a_fused_recurrence_is_refused(method):
    with pytest.raises(CapabilityError, match=r"module 'lstm': torch\.lstm is not known to be analytic"):
        Problem(Recurrent).products(method)


NO_LOSS = {
    "one per sample": (lambda z, t: functional.cross_entropy(z, t, reduction="none"), r"shape \(6,\)"),
    "a number": (lambda z, t: 1.0, "a float"),
    "infinite": (lambda z, t: functional.cross_entropy(z, t) * float("inf"), "is inf"),
    "not a number": (lambda z, t: functional.cross_entropy(z, t) * float("nan"), "is nan"),
}


@pytest.mark.parametrize(("loss", "message"), NO_LOSS.values(), ids=NO_LOSS.keys())
@pytest.mark.parametrize("method", METHODS)
def test_what_is_no_loss_is_refused(method, loss, message):
    with pytest.raises(InputError, match=message):
        Problem().products(method, loss=loss)


WRONG_VECTORS = {
    "too short": (lambda v: v[:-1], "shape"),
    "too long": (lambda v: torch.cat([v, v]), "shape"),
    "a column": (lambda v: v[:, None], "shape"),
    "another dtype": (lambda v: v.float(), "float32"),
    "integers": (lambda v: v.long(), "int64"),
    "complex numbers": (lambda v: v.to(torch.complex128), "complex128"),
    "another device": (lambda v: v.to("meta"), "meta"),
    "infinite": (lambda v: v / 0, "not finite"),
    "not numbers": (lambda v: v * float("nan"), "not finite"),
    "a list": (lambda v: v.tolist(), "a list"),
}


@pytest.mark.parametrize(("spoil", "message"), WRONG_VECTORS.values(), ids=WRONG_VECTORS.keys())
def test_a_wrong_vector_is_refused(spoil, message):
    problem = Problem()
    with pytest.raises(InputError, match=message):
        problem.products()(spoil(problem.vector))


WRONG_STEPS = {
    "zero": (0.0, "above 0"),
    "negative": (-1e-3, "above 0"),
    "infinite": (float("inf"), "finite"),
    "not a number": (float("nan"), "finite"),
    "text": ("1e-3", "finite number"),
    "a truth": (True, "finite number"),
    "below the smallest number": (1e-310, "vanishes"),
}


@pytest.mark.parametrize(("step", "message"), WRONG_STEPS.values(), ids=WRONG_STEPS.keys())
@pytest.mark.parametrize("method", STEPPING)
def test_a_wrong_step_is_refused(method, step, message):
    with pytest.raises(InputError, match=message):
        Problem().products(method, step)


def test_a_step_that_vanishes_in_single_precision_is_refused():
    with pytest.raises(InputError, match=r"1e-31 vanishes in torch\.float32"):
        Problem(dtype=torch.float32).products("complex_step", 1e-31)


def test_a_difference_that_does_not_move_the_parameters_is_refused():
    problem = Problem()
    with pytest.raises(InputError, match="does not move the parameters"):
        problem.products("finite_difference", 1e-30)(problem.vector)


@pytest.mark.parametrize("method", [method for method in METHODS if method not in STEPPING])
def test_a_step_for_a_method_without_one_is_refused(method):
    with pytest.raises(InputError, match="has none; leave it out"):
        Problem().products(method, 1e-3)


def test_an_unknown_method_is_refused():
    with pytest.raises(ConfigurationError, match="method is 'newton'; it must be one of complex_step, r_operator"):
        Problem().products("newton")


@pytest.mark.parametrize("method", METHODS)
def test_a_model_in_half_precision_is_refused(method):
    with pytest.raises(InputError, match=r"torch\.float16; use float32 or float64"):
        Problem(dtype=torch.float16).products(method)


@pytest.mark.parametrize("method", METHODS)
def test_a_model_without_trainable_parameters_is_refused(method):
    problem = Problem()
    problem.model.requires_grad_(False)
    with pytest.raises(InputError, match="no trainable parameters"):
        problem.products(method)


@pytest.mark.parametrize("method", METHODS)
def test_an_empty_batch_is_refused(method):
    with pytest.raises(InputError, match="at least one sample"):
        Problem(samples=0).products(method)


@pytest.mark.parametrize("method", ["complex_step", "r_operator"])
@pytest.mark.parametrize(
    ("labels", "message"),
    [
        pytest.param(torch.tensor([0.0, 1.0, 2.0]), "target dtype", id="floating-point labels"),
        pytest.param(torch.tensor([0, 1, 7]), "out of bounds", id="labels out of range"),
        pytest.param(torch.tensor([0, 1]), "batch_size", id="too few labels"),
    ],
)
def test_labels_that_do_not_fit_are_refused_in_the_words_of_pytorch(method, labels, message):
    model, inputs = nn.Linear(4, 3).double(), torch.randn(3, 4).double()
    with pytest.raises((RuntimeError, ValueError, IndexError), match=message):
        HessianVectorProducts(model, nn.functional.cross_entropy, inputs, labels, method)


@pytest.mark.parametrize(
    "first",
    [nn.Linear(6, 4), nn.Conv2d(1, 2, 2), nn.ConvTranspose2d(1, 2, 2)],
    ids=["dense", "convolution", "transposed"],
)
@pytest.mark.parametrize("method", ["r_operator", "complex_step"])
def test_bias_of_a_frozen_first_layer_moves_alone(first, method):
    torch.manual_seed(0)
    inputs = torch.randn(5, 6) if isinstance(first, nn.Linear) else torch.randn(5, 1, 3, 3)
    network = nn.Sequential(first, nn.Tanh(), nn.Flatten(), nn.LazyLinear(3)).double()
    network(inputs.double())
    first.weight.requires_grad_(False)
    given = network, functional.cross_entropy, inputs.double(), torch.tensor([0, 1, 2, 1, 0])
    vector = torch.randn(sum(p.numel() for p in network.parameters() if p.requires_grad), dtype=torch.float64)
    found, expected = (hessian_vector_product(*given, vector, name) for name in (method, "double_backward"))
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-14)
