"""Networks of every kind have the products of double backward, at every step; left-out terms are noticed."""

import pytest
import torch
from analytic_cases import METHODS, class_loss, complex_step, flat, products, relative_error
from torch import nn
from torch.nn import functional

from secondorder.analytic import complex_step as complex_module
from secondorder.analytic.complex_step import Complex, ComplexStep
from secondorder.analytic.elementwise import HyperbolicTangent
from secondorder.analytic.r_operator import ROperator
from secondorder.analytic.tracing import record
from secondorder.curvature.flat_vectors import split_like
from secondorder.curvature.products import double_backward

TOLERANCE = 2e-12


class Function(nn.Module):
    """A module of other modules and parameters with a forward pass of its own."""

    def __init__(self, function, **members):
        super().__init__()
        for name, member in members.items():
            setattr(self, name, member)
        self.function = function

    def forward(self, inputs):
        return self.function(self, inputs)


def perceptron(*activations):
    return lambda: nn.Sequential(
        nn.Flatten(), nn.Linear(36, 6), *(make() for make in activations), nn.Linear(6, 6), nn.Tanh(), nn.Linear(6, 3)
    )


def convolutional(*parts):
    return lambda: nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1), *(make() for make in parts), nn.Conv2d(4, 4, 2), nn.ReLU(), nn.Flatten(),
        nn.LazyLinear(3),
    )  # fmt: skip


def residual():
    block = Function(
        lambda self, x: x + self.second(torch.relu(self.first(x))), first=nn.Linear(6, 6), second=nn.Linear(6, 6)
    )
    return nn.Sequential(nn.Flatten(), nn.Linear(36, 6), block, nn.ReLU(), nn.Linear(6, 3))


def recurrent(cell):
    def forward(self, inputs):
        steps, state = inputs.squeeze(1), None
        for step in steps.unbind(1):
            state = self.cell(step, state)
        return self.readout(state[0] if isinstance(state, tuple) else state)

    return lambda: Function(forward, cell=cell(6, 5), readout=nn.Linear(5, 3))


def embedding():
    def forward(self, inputs):
        words = (inputs.flatten(1)[:, :4] * 10).long() % 7
        return self.readout(self.words(words).mean(1).tanh())

    return Function(forward, words=nn.Embedding(7, 4, padding_idx=2), readout=nn.Linear(4, 3))


def tied():
    model = perceptron(nn.Tanh)()
    model[3].weight.requires_grad_()
    return Function(
        lambda self, x: self.last(torch.tanh(functional.linear(self.model[:4](x), self.model[3].weight.T))),
        model=model, last=nn.Linear(6, 3),
    )  # fmt: skip


def module_called_twice():
    layer = nn.Linear(6, 6)
    return nn.Sequential(nn.Flatten(), nn.Linear(36, 6), layer, nn.Tanh(), layer, nn.Tanh(), nn.Linear(6, 3))


def frozen():
    model = perceptron(nn.Tanh)()
    model[1].requires_grad_(False)
    model[3].bias.requires_grad_(False)
    return model


def with_unused():
    return Function(lambda self, x: self.used(x), used=perceptron(nn.SiLU)(), unused=nn.Linear(2, 2))


def evaluated(make):
    def made():
        model = make()
        model(torch.randn(4, 1, 6, 6))
        return model.eval()

    return made


def attention():
    def forward(self, inputs):
        x = inputs.squeeze(1)
        scores = self.query(x) @ self.key(x).transpose(1, 2) / 2
        return self.readout((scores.softmax(-1) @ self.value(x)).mean(1))

    return Function(forward, query=nn.Linear(6, 4), key=nn.Linear(6, 4), value=nn.Linear(6, 4), readout=nn.Linear(4, 3))


ACTIVATIONS = (
    nn.ReLU, nn.Tanh, nn.Sigmoid, nn.GELU, nn.SiLU, nn.ELU, nn.Softplus, nn.LeakyReLU, nn.Mish, nn.PReLU, nn.SELU,
    nn.Hardtanh, nn.Hardswish, nn.ReLU6, nn.LogSigmoid, nn.Softsign, nn.Tanhshrink,
)  # fmt: skip
NETWORKS = {
    **{activation.__name__: perceptron(activation) for activation in ACTIVATIONS},
    "ReLU in place": perceptron(lambda: nn.ReLU(inplace=True)),
    "dropout in place, in evaluation": evaluated(perceptron(nn.Tanh, lambda: nn.Dropout(0.4, inplace=True))),
    "dropout": perceptron(nn.Tanh, lambda: nn.Dropout(0.4)),
    "layer norm": perceptron(lambda: nn.LayerNorm(6), nn.Tanh),
    "batch norm in training": perceptron(lambda: nn.BatchNorm1d(6), nn.Tanh),
    "max-pooling": convolutional(nn.ReLU, lambda: nn.MaxPool2d(2)),
    "average pooling": convolutional(nn.Tanh, lambda: nn.AvgPool2d(2)),
    "adaptive average pooling": convolutional(nn.Tanh, lambda: nn.AdaptiveAvgPool2d(3)),
    "two-dimensional batch norm": convolutional(lambda: nn.BatchNorm2d(4), nn.ReLU, lambda: nn.MaxPool2d(2)),
    "batch norm in evaluation": evaluated(convolutional(lambda: nn.BatchNorm2d(4), nn.Tanh)),
    "group norm": convolutional(lambda: nn.GroupNorm(2, 4), nn.Tanh),
    "instance norm": convolutional(lambda: nn.InstanceNorm2d(4, affine=True), nn.Tanh),
    "two-dimensional dropout": convolutional(nn.Tanh, lambda: nn.Dropout2d(0.5)),
    "transposed convolution": convolutional(nn.Tanh, lambda: nn.ConvTranspose2d(4, 4, 2, stride=2)),
    "grouped convolution": convolutional(nn.Tanh, lambda: nn.Conv2d(4, 4, 3, groups=2, dilation=2)),
    "circular padding": convolutional(nn.Tanh, lambda: nn.Conv2d(4, 4, 3, padding=1, padding_mode="circular")),
    "residual": residual,
    "RNN cell": recurrent(nn.RNNCell),
    "RNN cell with ReLU": recurrent(lambda *sizes: nn.RNNCell(*sizes, nonlinearity="relu")),
    "LSTM cell": recurrent(nn.LSTMCell),
    "GRU cell": recurrent(nn.GRUCell),
    "embedding": embedding,
    "attention": attention,
    "tied weights": tied,
    "module called twice": module_called_twice,
    "frozen parameters": frozen,
    "unused parameters": with_unused,
}


def squared_error(outputs, targets):
    return functional.mse_loss(outputs, functional.one_hot(targets, 3).to(outputs.dtype))


def binary_losses(outputs, targets):
    return functional.binary_cross_entropy_with_logits(outputs, functional.one_hot(targets, 3).to(outputs.dtype))


def weighted(outputs, targets):
    return functional.cross_entropy(outputs, targets, outputs.new_tensor([0.5, 1.0, 3.0]))


LOSSES = {
    "cross-entropy": functional.cross_entropy,
    "cross-entropy with smoothed labels": lambda z, t: functional.cross_entropy(z, t, label_smoothing=0.1),
    "cross-entropy with class weights": weighted,
    "squared error": squared_error,
    "binary cross-entropy with logits": binary_losses,
}


def problem(make, dtype=torch.float64):
    """A network and a batch; dropout draws the same masks each time."""
    torch.manual_seed(0)
    model = make()
    inputs, targets = torch.randn(5, 1, 6, 6), torch.tensor([0, 1, 2, 1, 0])
    model(inputs)
    model, inputs = model.to(dtype), inputs.to(dtype)

    def same(loss):
        def evaluate():
            torch.manual_seed(3)
            return loss()

        return evaluate

    return model, inputs, targets, same


@pytest.mark.parametrize("make", NETWORKS.values(), ids=NETWORKS.keys())
def test_the_product_is_that_of_double_backward(make):
    model, inputs, targets, same = problem(make)
    truth, found = products(model, same(class_loss(model, inputs, targets)))
    assert truth.norm() > 1e-6
    for method in METHODS:
        assert relative_error(found[method], truth) < TOLERANCE, method


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES.keys())
@pytest.mark.parametrize("network", ["Tanh", "max-pooling"])
def test_so_it_is_for_every_loss(network, loss):
    model, inputs, targets, _ = problem(NETWORKS[network])
    truth, found = products(model, class_loss(model, inputs, targets, loss))
    for method in METHODS:
        assert relative_error(found[method], truth) < TOLERANCE, method


def setting(network, dtype):
    model, inputs, targets, _ = problem(NETWORKS[network], torch.float64)
    parameters = list(model.parameters())
    vector = torch.randn(sum(p.numel() for p in parameters), dtype=torch.float64)
    vector /= vector.norm()
    truth = double_backward(class_loss(model, inputs, targets), parameters, vector)
    model.to(dtype)
    tape = record(model, parameters, class_loss(model, inputs.to(dtype), targets))
    return tape, split_like(vector.to(dtype), parameters), truth


SWEPT = ["Tanh", "two-dimensional batch norm", "RNN cell"]


@pytest.mark.parametrize("step", [1e-8, 1e-12, 1e-20, 1e-50, 1e-100])
@pytest.mark.parametrize("network", SWEPT)
def test_in_double_precision_any_step_is_right_to_the_last_digits(network, step):
    tape, directions, truth = setting(network, torch.float64)
    assert relative_error(complex_step(tape, directions, step), truth) < 1e-14


@pytest.mark.parametrize("step", [1e-8, 1e-15, 1e-20, 1e-30])
@pytest.mark.parametrize("network", SWEPT)
def test_in_single_precision_any_step_is_right_to_the_last_digits(network, step):
    tape, directions, truth = setting(network, torch.float32)
    assert relative_error(complex_step(tape, directions, step).double(), truth) < 2e-6


@pytest.mark.parametrize("network", SWEPT)
def test_the_r_operator_is_as_right(network):
    for dtype, limit in ((torch.float64, 1e-14), (torch.float32, 2e-6)):
        tape, directions, truth = setting(network, dtype)
        assert relative_error(flat(ROperator(tape)(directions)).double(), truth) < limit


def test_a_step_of_1e_200_gives_numbers():
    tape, directions, _ = setting("Tanh", torch.float64)
    assert torch.isfinite(complex_step(tape, directions, 1e-200)).all()


def test_a_large_step_has_the_truncation_error_of_second_order():
    tape, directions, truth = setting("Tanh", torch.float64)
    coarse, fine = (relative_error(complex_step(tape, directions, step), truth) for step in (2e-2, 1e-2))
    assert 3.9 < coarse / fine < 4.1


def test_the_gradient_is_that_of_autograd():
    model, inputs, targets, _ = problem(NETWORKS["two-dimensional batch norm"])
    loss, parameters = class_loss(model, inputs, targets), list(model.parameters())
    truth = flat(torch.autograd.grad(loss(), parameters))
    assert relative_error(flat(ROperator(record(model, parameters, loss)).gradient), truth) < 1e-14


def test_that_comparison_notices_a_product_without_the_term_of_both_imaginary_parts(monkeypatch):
    # The value of −x_i w_i is far below rounding. What counts are its derivatives, −x_i and −w_i times ȳ_r.
    whole = complex_module._Replay._add_product

    def without(replay, *arguments):
        with monkeypatch.context() as patch:
            value = replay._value
            patch.setattr(replay, "_value", lambda argument: Complex(value(argument).real, None), raising=False)
            whole(replay, *arguments)

    monkeypatch.setattr(complex_module._Replay, "_add_product", without)
    tape, directions, truth = setting("Tanh", torch.float64)
    assert relative_error(complex_step(tape, directions), truth) > 0.01


@pytest.mark.parametrize(
    "wrong",
    [pytest.param(lambda _, x: -2 * x.tanh(), id="another"), pytest.param(lambda _, x: None, id="none")],
)
def test_that_comparison_notices_a_wrong_second_derivative(monkeypatch, wrong):
    monkeypatch.setattr(HyperbolicTangent, "second_derivative", wrong)
    tape, directions, truth = setting("Tanh", torch.float64)
    assert relative_error(flat(ROperator(tape)(directions)), truth) > 0.01


def test_the_replay_branches_on_its_own_real_parts():
    # x² − 1 at x = 1 + ih is −h² − … in the real part: relu is off there, though it is on at every x > 1.
    module = nn.ParameterList([torch.tensor([1.0 + 1e-6], dtype=torch.float64)])
    (x,) = module
    tape = record(module, [x], lambda: torch.relu(x * x - 1).sum())
    replay = ComplexStep(tape)
    assert float(replay([torch.tensor([1e-6], dtype=torch.float64)])[0]) == pytest.approx(2e-6)
    assert float(replay([torch.tensor([1e-1], dtype=torch.float64)])[0]) == 0
