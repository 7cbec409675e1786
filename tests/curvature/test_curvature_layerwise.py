"""The layerwise direction is the mean over the samples of −φ(blocks)⁻¹ (g + λθ), with dense blocks per sample."""

import copy
from functools import cache, partial

import pytest
import torch
from curvature_cases import MODELS, Problem, Residual, dense, problem, relative_error
from torch import nn
from torch.nn import functional

from secondorder.curvature.adjustments import ADJUSTMENTS
from secondorder.curvature.layers import take_apart
from secondorder.curvature.layerwise import check_layerwise, layerwise_direction, layerwise_multiplications
from secondorder.errors import CapabilityError, ConfigurationError


def with_skip(activation):
    return nn.Sequential(Residual(nn.Linear(4, 4), activation(), nn.Linear(4, 4)), nn.Linear(4, 3))


def frozen(activation, *names):
    model = dense(activation)
    for name in names:
        model.get_parameter(name).requires_grad_(False)
    return model


# name: what makes the network; the fast path is for those of the first dictionary
PIECEWISE_LINEAR = {
    "relu": partial(dense, nn.ReLU),
    "relu in place": partial(dense, lambda: nn.ReLU(inplace=True)),
    "leaky relu": partial(dense, nn.LeakyReLU),
    "identity": partial(dense, nn.Identity),
    "one layer": partial(nn.Linear, 4, 3),
    "one layer without bias": partial(nn.Linear, 4, 3, bias=False),
    "wide relu": partial(dense, nn.ReLU, 9),
    "residual relu": partial(with_skip, nn.ReLU),
    "relu with a frozen weight": partial(frozen, nn.ReLU, "2.weight"),
    "relu with a frozen bias": partial(frozen, nn.ReLU, "0.bias"),
    "relu with a frozen layer": partial(frozen, nn.ReLU, "2.weight", "2.bias"),
    "relu with a frozen head": partial(frozen, nn.ReLU, "4.weight", "4.bias"),
}
CURVED = {
    "tanh": partial(dense, nn.Tanh),
    "sigmoid": partial(dense, nn.Sigmoid),
    "gelu": partial(dense, nn.GELU),
    "softmax": partial(dense, lambda: nn.Softmax(dim=1)),
    "residual tanh": partial(with_skip, nn.Tanh),
    "tanh with a frozen bias": partial(frozen, nn.Tanh, "0.bias"),
    "tanh with a frozen layer": partial(frozen, nn.Tanh, "2.weight", "2.bias"),
}
NETWORKS = {**PIECEWISE_LINEAR, **CURVED}
EVERY = pytest.mark.parametrize("make", NETWORKS.values(), ids=NETWORKS)
SOME = ["relu", "leaky relu", "relu with a frozen bias", "tanh", "residual tanh"]
SOME_NETWORKS = pytest.mark.parametrize("make", [NETWORKS[name] for name in SOME], ids=SOME)
LOSSES = ["cross-entropy", "cross-entropy with smoothed labels", "cross-entropy with soft targets", "squared error"]
ADJUSTED = pytest.mark.parametrize("adjustment", ADJUSTMENTS)


# One problem for all tests that leave it as it is, with its dense Hessians.
shared = cache(problem)


def by_eigenvalues(values, adjustment):
    """What each eigenvalue is replaced by, written out."""
    size = values.abs()
    sigma = float((size**2).sum() / size.sum())
    return {
        "newton": values,
        "absolute": size,
        "positive": values.clamp(min=0),
        "flat": torch.where(values < 0, size / (1 + size / sigma), size * (1 + size / sigma)),
    }[adjustment]


def truth(problem, damping, adjustment="absolute", weight_decay=0.0, coupling="layerwise"):
    directions = []
    for alone in problem.samples:
        values, vectors = torch.linalg.eigh(alone.truth(coupling))
        divisors = by_eigenvalues(values, adjustment) + weight_decay + damping
        gradient = alone.gradient + weight_decay * alone.theta
        directions.append(-vectors @ ((vectors.T @ gradient) / divisors))
    return torch.stack(directions).mean(0)


def found_by(problem, damping, adjustment="absolute", weight_decay=0.0, **options):
    network = take_apart(problem.model, problem.inputs, dense_only=True)
    arguments = (problem.loss, problem.inputs, problem.targets, damping, adjustment, weight_decay)
    return layerwise_direction(network, *arguments, **options)


def direction(*arguments, **options):
    return found_by(*arguments, **options).step


@EVERY
def test_the_direction_is_the_mean_of_those_of_dense_blocks(make):
    given = shared(make)
    assert relative_error(direction(given, 0.1), truth(given, 0.1)) < 1e-11


@pytest.mark.parametrize("weight_decay", [0.0, 0.3])
@ADJUSTED
@SOME_NETWORKS
def test_the_direction_is_right_with_every_adjustment(make, adjustment, weight_decay):
    given = shared(make)
    # Plain Newton divides by numbers near 0 of either sign where the damping does not outweigh them.
    found, expected = (f(given, 0.1, adjustment, weight_decay) for f in (direction, truth))
    assert relative_error(found, expected) < 1e-10


@pytest.mark.parametrize("loss", LOSSES)
@SOME_NETWORKS
def test_the_direction_is_right_for_every_loss(make, loss):
    given = shared(make, loss)
    assert relative_error(direction(given, 0.1, "flat", 0.2), truth(given, 0.1, "flat", 0.2)) < 1e-10


@pytest.mark.parametrize(("damping", "weight_decay"), [(1e-4, 0.0), (1e-4, 1e-2), (10.0, 0.0), (0.0, 0.1), (3.0, 2.0)])
@SOME_NETWORKS
def test_the_direction_is_right_with_every_damping(make, damping, weight_decay):
    given = shared(make)
    found, expected = (f(given, damping, "absolute", weight_decay) for f in (direction, truth))
    assert relative_error(found, expected) < 1e-11 + 1e-14 / (damping + weight_decay)


@pytest.mark.parametrize("batch", [1, 2, 7])
@SOME_NETWORKS
def test_the_direction_is_right_for_any_batch(make, batch):
    given = shared(make, batch=batch)
    assert relative_error(direction(given, 0.1, "flat"), truth(given, 0.1, "flat")) < 1e-11


WRONG = {
    "another adjustment": lambda given: truth(given, 0.1, "flat"),
    "another damping": lambda given: truth(given, 0.11),
    "weight decay": lambda given: truth(given, 0.1, weight_decay=0.1),
    "other labels": lambda given: truth(Problem(given.model, given.loss, given.inputs, given.targets.roll(1)), 0.1),
    "another sign": lambda given: -truth(given, 0.1),
    "full coupling": lambda given: truth(given, 0.1, coupling="full"),
    "the sum over the samples": lambda given: len(given.inputs) * truth(given, 0.1),
    "the blocks of the mean": lambda given: (
        -torch.linalg.solve(given.blocks(given.hessian) + 0.1 * torch.eye(len(given.theta)), given.gradient)
    ),
}


@pytest.mark.parametrize("make", [NETWORKS["relu"], NETWORKS["tanh"]], ids=["relu", "tanh"])
@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
def test_that_comparison_notices_another_direction(wrong, make):
    given = shared(make, scale=1.5)
    assert relative_error(direction(given, 0.1), wrong(given)) > 1e-3


@EVERY
def test_loss_and_gradient_are_those_of_the_batch(make):
    given = shared(make)
    found = found_by(given, 0.1)
    torch.testing.assert_close(found.loss, given.loss(given.model(given.inputs), given.targets).detach())
    assert relative_error(found.gradient(), given.gradient) < 1e-12


@pytest.mark.parametrize(("adjustment", "weight_decay"), [("absolute", 0.0), ("flat", 0.2)])
@pytest.mark.parametrize("make", PIECEWISE_LINEAR.values(), ids=PIECEWISE_LINEAR)
def test_the_fast_path_and_the_general_one_agree(make, adjustment, weight_decay):
    given = shared(make, batch=5)
    network = take_apart(given.model, given.inputs, dense_only=True)
    assert network.piecewise_linear
    network.piecewise_linear = False
    arguments = (given.loss, given.inputs, given.targets, 0.1, adjustment, weight_decay)
    general = layerwise_direction(network, *arguments).step
    assert relative_error(direction(given, 0.1, adjustment, weight_decay), general) < 1e-11


@pytest.mark.parametrize("make", CURVED.values(), ids=CURVED)
def test_the_fast_path_is_not_taken_where_an_activation_is_curved(make):
    given = shared(make)
    assert not take_apart(given.model, given.inputs).piecewise_linear


def test_a_loss_that_is_linear_in_places_takes_the_general_path():
    given = problem(NETWORKS["relu"], "huber")
    assert relative_error(direction(given, 0.1), truth(given, 0.1)) < 1e-11


def test_a_layer_that_no_sample_activates_moves_by_its_weight_decay_alone():
    given = problem(NETWORKS["relu"])
    with torch.no_grad():
        given.model[0].bias.fill_(-1e3)
    found = direction(given, 0.1, weight_decay=0.3)[:15]
    torch.testing.assert_close(found, -0.3 / 0.4 * given.theta[:15])


@ADJUSTED
@SOME_NETWORKS
def test_single_precision_is_close_to_double(make, adjustment):
    given = shared(make, batch=20)
    model = copy.deepcopy(given.model).float()
    single = Problem(model, given.loss, given.inputs.float(), given.targets)
    found, expected = (direction(which, 1e-2, adjustment, 1e-3) for which in (single, given))
    assert relative_error(found.double(), expected) < 2e-4


@pytest.mark.parametrize("label", [0, 1], ids=["fitted", "misfitted"])
def test_a_sample_of_probability_1e_30_gives_a_finite_direction(label):
    model = nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.Linear(2, 3))
    with torch.no_grad():
        model[0].weight.copy_(torch.eye(2))
        model[0].bias.zero_()
        model[2].weight.copy_(torch.tensor([[35.0, 0], [-35, 0], [0, 1]]))
    given = Problem(model, functional.cross_entropy, torch.ones(1, 2), torch.tensor([label]))
    twin = Problem(copy.deepcopy(model).double(), given.loss, given.inputs.double(), given.targets)
    found, expected = direction(given, 1e-2).double(), direction(twin, 1e-2)
    assert torch.isfinite(found).all()
    assert relative_error(found, expected) < 1e-4
    if label:
        assert relative_error(found, truth(twin, 1e-2)) < 1e-4


# Refusals

REFUSED = {
    "convolution": ("two convolutions", "0"),
    "convolution of a line": ("convolution of a line", "0"),
    "normalisation": ("layer normalisation", "1"),
    "trained activation": ("prelu", "1"),
    "layer called twice": ("layer called twice", "0"),
    "two layers with one weight": ("two layers share a weight", "0"),
    "sequence": ("sequence", "0"),
    "recurrent": ("recurrent", "0.given"),
    "attention": ("attention", "0"),
}


@pytest.mark.parametrize("dense_only", [False, True])
@pytest.mark.parametrize(("model", "module"), REFUSED.values(), ids=REFUSED)
def test_a_weight_that_a_sample_uses_otherwise_is_refused_by_name(model, module, dense_only):
    given = problem(model)
    network = take_apart(given.model, given.inputs, dense_only=dense_only)
    with pytest.raises(CapabilityError, match=f"module '{module}': .*joint_gauss_newton"):
        check_layerwise(network)
    with pytest.raises(CapabilityError, match=f"module '{module}'"):
        layerwise_direction(network, given.loss, given.inputs, given.targets, 0.1)


@pytest.mark.parametrize("model", [name for name in MODELS if name in NETWORKS or name in ("gated", "no bias")])
def test_a_dense_network_is_not_refused(model):
    given = problem(model)
    check_layerwise(take_apart(given.model, given.inputs))


@pytest.mark.parametrize(
    ("message", "options"),
    [
        ("damping and weight_decay are 0", {"damping": 0.0}),
        ("damping is -1", {"damping": -1.0}),
        ("weight_decay is -1", {"damping": 1.0, "weight_decay": -1.0}),
        (
            "no adjustment 'inverse'; there are newton, absolute, positive, flat",
            {"damping": 1.0, "adjustment": "inverse"},
        ),
    ],
)
@pytest.mark.parametrize("make", [NETWORKS["relu"], NETWORKS["tanh"]], ids=["relu", "tanh"])
def test_settings_that_make_no_direction_are_refused(make, message, options):
    with pytest.raises(ConfigurationError, match=message):
        direction(problem(make), **options)


@pytest.mark.parametrize("loss", ["cross-entropy", "squared error"])
@pytest.mark.parametrize("adjustment", ["absolute", "flat"])
def test_what_is_not_finite_gives_a_direction_that_is_not(adjustment, loss):
    given = problem(NETWORKS["relu"], loss)
    network = take_apart(given.model, given.inputs)
    with torch.no_grad():
        given.parameters[-1].view(-1)[0] = torch.nan
    found = layerwise_direction(network, given.loss, given.inputs, given.targets, 0.1, adjustment, check=False)
    assert found.step.isnan().any()
    assert found.loss.isnan()


# What it costs


def test_the_multiplications_of_a_piecewise_linear_network_by_hand():
    network = take_apart(nn.Sequential(nn.Linear(7, 5), nn.ReLU(), nn.Linear(5, 3)), torch.randn(4, 7))
    # Of each of 4 samples, 3 rows through the second layer and, per layer, its small matrix and its solve.
    assert layerwise_multiplications(network, 4, 3) == 4 * (3 * 15 + (9 * 5 + 9) + (9 * 3 + 9))


def test_the_multiplications_of_another_network_by_hand():
    network = take_apart(nn.Sequential(nn.Linear(7, 5), nn.Tanh(), nn.Linear(5, 3)), torch.randn(4, 7))
    assert layerwise_multiplications(network, 4, None) == 4 * (2 * 8 * 15 + 4.5 * (125 + 27))
