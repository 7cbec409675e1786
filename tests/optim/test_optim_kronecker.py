"""Steps of K-FAC and EKFAC as their definitions say, with dense matrices in float64 as the definition."""

import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils import parameters_to_vector

from secondorder.errors import CapabilityError
from secondorder.optim import ekfac, kfac
from secondorder.optim.kronecker import clip_factor
from secondorder.training.objective import Objective
from secondorder.training.work import Work

SAMPLES, CLASSES = 8, 3
BOTH = pytest.mark.parametrize("method", [kfac, ekfac], ids=["kfac", "ekfac"])
PLAIN = {"learning_rate": 1.0, "momentum": 0.0, "kl_clip": 0.0, "fisher": "type2"}


class Recurrent(nn.Module):
    """Two linear layers that a sample uses at each of many steps, and one behind them."""

    def __init__(self):
        super().__init__()
        self.given, self.kept, self.read = nn.Linear(2, 6), nn.Linear(6, 6), nn.Linear(6, CLASSES)

    def forward(self, inputs):
        state = inputs.new_zeros(len(inputs), 6)
        for step in inputs.unbind(1):
            state = torch.tanh(self.given(step) + self.kept(state))
        return self.read(state)


def perceptron():
    return nn.Sequential(nn.Flatten(), nn.Linear(16, 8), nn.ReLU(inplace=True), nn.Dropout(0.2), nn.Linear(8, CLASSES))


def convolutional():
    norm = nn.Conv2d(1, 3, 2), nn.BatchNorm2d(3), nn.ReLU(), nn.Conv2d(3, 4, 2), nn.ReLU()
    return nn.Sequential(*norm, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, CLASSES))


def data(*shape, samples=SAMPLES):
    return torch.randn(samples, *shape, generator=torch.Generator().manual_seed(2)).double()


def labels():
    return torch.arange(SAMPLES) % CLASSES


def linear(bias=True):
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, CLASSES, bias=bias)).double()


def objective_of(model, inputs, targets, loss=functional.mse_loss, penalty=0.0):
    return Objective(model, loss, inputs, targets, Work(len(inputs)), penalty)


def step_of(method, model, objective, **settings):
    """Return what a fresh optimizer's first step adds to the parameters."""
    before = parameters_to_vector(model.parameters()).detach().clone()
    optimizer = method.build(model.parameters(), method.Settings(**PLAIN | settings))
    optimizer.step(objective, 1.0)
    return parameters_to_vector(model.parameters()).detach() - before


def gradient_of(objective):
    objective.loss_and_gradient()
    return torch.cat([parameter.grad.flatten() for parameter in objective.parameters])


def gauss_newton_of_linear(inputs):
    """Return the matrix of a linear layer under the mean of squared errors, which is its Hessian; weights first."""
    extended = torch.cat([inputs, torch.ones(len(inputs), 1).double()], 1)
    moment = extended.T @ extended / len(inputs) * 2 / CLASSES
    rows, columns = range(CLASSES), range(inputs.shape[1])
    order = [row * 5 + column for row in rows for column in columns] + [row * 5 + 4 for row in rows]
    return torch.kron(torch.eye(CLASSES).double(), moment)[order][:, order]


@pytest.mark.parametrize("penalty", [0.0, 0.3])
def test_a_step_of_ekfac_solves_with_the_damped_matrix(penalty):
    model, inputs, targets = linear(), data(4), data(CLASSES)
    gradient = gradient_of(objective_of(model, inputs, targets, penalty=penalty))
    matrix = gauss_newton_of_linear(inputs) + (0.1 + penalty) * torch.eye(15).double()
    step = step_of(ekfac, model, objective_of(model, inputs, targets, penalty=penalty), damping=0.1)
    torch.testing.assert_close(step, -torch.linalg.solve(matrix, gradient), rtol=1e-10, atol=1e-12)


def test_a_step_of_ekfac_without_damping_ends_at_the_minimum():
    model, inputs, targets = linear(), data(4), data(CLASSES)
    step_of(ekfac, model, objective_of(model, inputs, targets), damping=1e-13)
    assert gradient_of(objective_of(model, inputs, targets)).abs().max() < 1e-10


def test_a_step_of_k_fac_solves_with_damped_factors():
    model, inputs, targets = linear(bias=False), data(4), data(CLASSES)
    gradient = gradient_of(objective_of(model, inputs, targets, penalty=0.3)).reshape(CLASSES, 4)
    moment = inputs.T @ inputs / SAMPLES
    # The other factor is 2/3 I, so that π² = (tr A / 4) / (2/3).
    ratio = (moment.trace() / 4 / (2 / 3)).sqrt()
    divided = gradient / (2 / 3 + 0.4**0.5 / ratio)
    expected = -torch.linalg.solve(moment + ratio * 0.4**0.5 * torch.eye(4).double(), divided.T).T.flatten()
    step = step_of(kfac, model, objective_of(model, inputs, targets, penalty=0.3), damping=0.1)
    torch.testing.assert_close(step, expected, rtol=1e-10, atol=1e-12)


@BOTH
def test_a_parameter_without_factors_takes_a_damped_gradient_step(method):
    torch.manual_seed(0)
    model = convolutional().double()
    inputs, targets = data(1, 4, 4), labels()
    objective_of(model, inputs, targets, functional.cross_entropy).loss_and_gradient()
    expected = model[1].weight.detach() - model[1].weight.grad / 1.5
    step_of(method, model, objective_of(model, inputs, targets, functional.cross_entropy), damping=0.5)
    torch.testing.assert_close(model[1].weight.detach(), expected, rtol=1e-12, atol=0)


@BOTH
def test_running_statistics_move_once_in_a_step(method):
    torch.manual_seed(0)
    model, twin = convolutional(), convolutional()
    twin.load_state_dict(model.state_dict())
    inputs, targets = data(1, 4, 4).float(), labels()
    step_of(method, model, objective_of(model, inputs, targets, functional.cross_entropy))
    twin(inputs)
    torch.testing.assert_close(model[1].running_mean, twin[1].running_mean)
    assert int(model[1].num_batches_tracked) == 1


def test_the_moving_average_is_the_mean_until_the_decay_is_reached():
    model, batches = linear(), [data(4) + shift for shift in range(4)]
    optimizer = kfac.build(model.parameters(), kfac.Settings(learning_rate=1e-30, decay=0.6))
    extended = [torch.cat([inputs, torch.ones(SAMPLES, 1).double()], 1) for inputs in batches]
    factors = [rows.T @ rows / SAMPLES for rows in extended]
    means = [factors[0], (factors[0] + factors[1]) / 2]
    for factor in factors[2:]:
        means.append(0.6 * means[-1] + 0.4 * factor)
    for inputs, mean in zip(batches, means, strict=True):
        optimizer.step(objective_of(model, inputs, data(CLASSES)), 1.0)
        found = optimizer.state_dict()["blocks"]["0"]["input_factor"]
        torch.testing.assert_close(found, mean, rtol=1e-12, atol=1e-12)


@BOTH
def test_periods_are_kept(method):
    model = linear()
    settings = method.Settings(learning_rate=1e-30, factor_period=2, inverse_period=7)
    optimizer = method.build(model.parameters(), settings)
    before = {"input_factor": None, "inverse": None}
    changed = {name: [] for name in before}
    inverse = "input_inverse" if method is kfac else "input_basis"
    for step in range(10):
        optimizer.step(objective_of(model, data(4) + step, data(CLASSES)), 1.0)
        block = optimizer.state_dict()["blocks"]["0"]
        for name, tensor in (("input_factor", block["input_factor"]), ("inverse", block[inverse])):
            if before[name] is None or not torch.equal(before[name], tensor):
                changed[name].append(step)
            before[name] = tensor.clone()
    # K-FAC's are also anew with each of the first three updates.
    assert changed == {"input_factor": [0, 2, 4, 6, 8], "inverse": [0, 2, 4, 7] if method is kfac else [0, 7]}


@pytest.mark.parametrize(
    ("squared_norm", "bound", "factor"), [(0.04, 0.01, 0.5), (0.01, 0.04, 1.0), (0.0, 0.1, 1.0), (9.0, 0.0, 1.0)]
)
def test_the_bound_shortens_a_step_to_it(squared_norm, bound, factor):
    assert float(clip_factor(torch.tensor(squared_norm), bound)) == pytest.approx(factor)


def test_a_bounded_step_has_the_norm_of_its_bound():
    model, inputs, targets = linear(), data(4), data(CLASSES)
    step = step_of(ekfac, model, objective_of(model, inputs, targets), damping=0.1, kl_clip=1e-3)
    matrix = gauss_newton_of_linear(inputs) + 0.1 * torch.eye(15).double()
    assert float(step @ matrix @ step) == pytest.approx(1e-3, rel=1e-10)


def test_the_velocity_keeps_a_share_of_the_step_before():
    model, inputs, targets = linear(), data(4), data(CLASSES)
    optimizer = ekfac.build(model.parameters(), ekfac.Settings(**PLAIN | {"momentum": 0.5, "learning_rate": 0.1}))
    places = [parameters_to_vector(model.parameters()).detach().clone()]
    gradients = []
    for _ in range(2):
        gradients.append(gradient_of(objective_of(model, inputs, targets)))
        optimizer.step(objective_of(model, inputs, targets), 1.0)
        places.append(parameters_to_vector(model.parameters()).detach().clone())
    matrix = gauss_newton_of_linear(inputs) + 0.03 * torch.eye(15).double()
    second = 0.5 * (places[1] - places[0]) - 0.1 * torch.linalg.solve(matrix, gradients[1])
    torch.testing.assert_close(places[2] - places[1], second, rtol=1e-10, atol=1e-12)


# In multiplications of one linear layer, 5 inputs with the bias's and 3 outputs, over those of its gradient.
GRADIENT = 3 * SAMPLES * 4 * CLASSES
PASSES = {"mc": 1, "type2": 3, "empirical": 1}
PRICES = {
    kfac: lambda passes: SAMPLES * (25 + passes * 9) + (125 + 27) / 2 + 15 * 8,
    ekfac: lambda passes: SAMPLES * (2 * 25 + passes * (2 * 9 + 15)) + 5.5 * (125 + 27) + 15 * 8 + 2 * 15 * 8,
}


@BOTH
@pytest.mark.parametrize("fisher", PASSES)
def test_a_step_costs_its_gradient_passes_factors_and_inverses(method, fisher):
    model = linear()
    objective = objective_of(model, data(4), data(CLASSES))
    step_of(method, model, objective, fisher=fisher)
    expected = 1 + PASSES[fisher] / 3 + PRICES[method](PASSES[fisher]) / GRADIENT
    assert objective.work.gradient_equivalents == pytest.approx(expected)


@BOTH
def test_multiplications_are_relative_to_the_gradient_of_layers_without_factors_too(method):
    first = nn.Linear(4, 4).double()
    first.bias.requires_grad_(False)
    model = nn.Sequential(first, linear())
    objective = objective_of(model, data(4), data(CLASSES))
    step_of(method, model, objective, fisher="mc")
    gradient = GRADIENT + 3 * SAMPLES * 4 * 4
    assert objective.work.gradient_equivalents == pytest.approx(1 + 1 / 3 + PRICES[method](1) / gradient)


@BOTH
@pytest.mark.parametrize(
    ("network", "shape"),
    [
        pytest.param(perceptron, (4, 4), id="perceptron"),
        pytest.param(convolutional, (1, 4, 4), id="convolutions"),
        pytest.param(Recurrent, (28, 2), id="recurrent"),
    ],
)
def test_it_reduces_the_loss_of_a_classifier(method, network, shape):
    torch.manual_seed(0)
    model, inputs = network(), data(*shape, samples=64).float()
    targets = inputs.flatten(1)[:, :CLASSES].argmax(1)
    optimizer = method.build(model.parameters(), method.Settings())
    losses = [
        float(optimizer.step(objective_of(model, inputs, targets, functional.cross_entropy), 1.0).loss)
        for _ in range(60)
    ]
    assert losses[-1] < 0.8 * losses[0]


@BOTH
def test_numbers_that_are_not_finite_end_as_such(method):
    model = linear()
    with torch.no_grad():
        model[0].weight.fill_(torch.inf)
    step_of(method, model, objective_of(model, data(4), labels(), functional.cross_entropy))
    assert not parameters_to_vector(model.parameters()).isfinite().any()


@BOTH
def test_a_model_without_a_layer_with_factors_is_refused(method):
    model = nn.Sequential(nn.Embedding(5, CLASSES))
    with pytest.raises(CapabilityError, match=r"Sequential: none of its modules is a Linear or Conv2d .* first-order"):
        step_of(method, model, objective_of(model, torch.arange(5), torch.zeros(5).long(), functional.cross_entropy))
