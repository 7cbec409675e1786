"""The Gauss-Newton direction is −(G + D)⁻¹ of the objective's gradient, with a dense G from torch.func.jacrev."""

import copy
from functools import cache, partial

import pytest
import torch
from curvature_cases import MODELS, Problem, problem, relative_error
from torch import nn
from torch.func import functional_call, hessian, jacrev
from torch.nn import functional

from secondorder.curvature.gauss_newton import gauss_newton_direction, gauss_newton_multiplications, output_jacobian
from secondorder.curvature.layers import take_apart
from secondorder.errors import CapabilityError, ConfigurationError

WEIGHTS = torch.tensor([0.2, 1.0, 3.0], dtype=torch.float64)
LOSSES = {
    "cross-entropy": ("cross-entropy", None),
    "sum of cross-entropies": ("cross-entropy", partial(functional.cross_entropy, reduction="sum")),
    "weighted cross-entropy": ("cross-entropy", partial(functional.cross_entropy, weight=WEIGHTS)),
    "cross-entropy with smoothed labels": ("cross-entropy", nn.CrossEntropyLoss(label_smoothing=0.1)),
    "cross-entropy with soft targets": ("cross-entropy with soft targets", None),
    "cross-entropy with an ignored sample": ("cross-entropy", partial(functional.cross_entropy, ignore_index=1)),
    "squared error": ("squared error", None),
    "binary cross-entropy": ("binary cross-entropy", None),
    "log-cosh": ("log-cosh", None),
}
REGULARIZATION = {
    "damping": {"damping": 0.1},
    "little damping": {"damping": 1e-6},
    "much damping": {"damping": 10.0},
    "weight decay": {"damping": 0.1, "weight_decay": 0.3},
    "weight decay alone": {"damping": 0.0, "weight_decay": 0.3},
    "penalty": {"damping": 0.1, "penalty": 0.7},
    "all": {"damping": 1e-3, "weight_decay": 0.3, "penalty": 0.7},
}
EVERY_MODEL = pytest.mark.parametrize("model", MODELS)
EVERY_LOSS = pytest.mark.parametrize("loss", LOSSES)
SOME_MODELS = pytest.mark.parametrize(
    "model",
    ["relu", "no bias", "layer called twice", "sequence", "two convolutions", "frozen bias", "layer normalisation"],
)


@cache
def case(model="tanh", loss="cross-entropy", **options):
    """A problem of the dictionaries with a loss of the dictionary here; one for all tests, which leave it as it is."""
    name, other = LOSSES[loss]
    made = problem(model, name, **options)
    return Problem(made.model, made.loss if other is None else other, made.inputs, made.targets)


def jacobian(case):
    return output_jacobian(take_apart(case.model, case.inputs), case.loss, case.inputs, case.targets)


def direction(case, damping, weight_decay=0.0, penalty=0.0):
    return gauss_newton_direction(jacobian(case), damping, weight_decay, penalty)


def outputs_of(case):
    """z as a function of the vector of the trainable parameters."""
    # A copy: functional_call leaves a layer that is called twice with tensors that are no parameters.
    model = copy.deepcopy(case.model)
    names = [name for name, parameter in model.named_parameters() if parameter.requires_grad]

    def outputs(theta):
        pieces = torch.split(theta, [parameter.numel() for parameter in case.parameters])
        shaped = {n: v.view_as(p) for n, v, p in zip(names, pieces, case.parameters, strict=True)}
        return functional_call(model, shaped, (case.inputs,))

    return outputs


def dense(case):
    """G = Jᵀ (∇²_z L) J and ∇L at the trainable parameters, computed once for each problem."""
    if not hasattr(case, "dense"):
        case.dense = computed(case)
    return case.dense


def computed(case):
    by_parameters = jacrev(outputs_of(case))(case.theta).flatten(0, -2)
    z = case.model(case.inputs).detach()
    curvature = hessian(case.loss)(z, case.targets).reshape(z.numel(), z.numel())
    leaf = z.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(case.loss(leaf, case.targets), leaf)
    return by_parameters.T @ curvature @ by_parameters, by_parameters.T @ gradient.flatten()


def is_weight(case):
    return torch.cat([torch.full((p.numel(),), float(p.ndim > 1)) for p in case.parameters]).to(case.theta)


def truth(case, damping, weight_decay=0.0, penalty=0.0):
    curvature, gradient = dense(case)
    regularization = weight_decay + penalty * is_weight(case)
    return -torch.linalg.solve(curvature + torch.diag(regularization + damping), gradient + regularization * case.theta)


@EVERY_MODEL
def test_the_direction_is_that_of_the_dense_matrix(model):
    found, expected = direction(case(model), 0.1), truth(case(model), 0.1)
    assert relative_error(found, expected) < 1e-12
    assert expected.abs().max() > 1e-3


@EVERY_LOSS
@SOME_MODELS
def test_the_direction_is_that_of_the_dense_matrix_for_every_loss(model, loss):
    assert relative_error(direction(case(model, loss), 0.1), truth(case(model, loss), 0.1)) < 1e-11


@pytest.mark.parametrize("options", REGULARIZATION.values(), ids=REGULARIZATION)
@pytest.mark.parametrize("loss", ["cross-entropy", "squared error"])
@SOME_MODELS
def test_the_direction_is_that_of_the_regularized_objective(model, loss, options):
    found, expected = (function(case(model, loss), **options) for function in (direction, truth))
    # The dense solve loses as many digits as its matrix is ill-conditioned.
    assert relative_error(found, expected) < 1e-12 + 1e-14 / sum(options.values())


@pytest.mark.parametrize("batch", [1, 2, 20])
@SOME_MODELS
def test_the_direction_is_right_for_few_and_for_many_samples(model, batch):
    assert relative_error(direction(case(model, batch=batch), 0.1), truth(case(model, batch=batch), 0.1)) < 1e-12


WRONG = {
    "other labels": lambda case, g: truth(Problem(case.model, case.loss, case.inputs, case.targets.roll(1)), 0.1),
    "the sum": lambda case, g: truth(
        Problem(case.model, partial(functional.cross_entropy, reduction="sum"), case.inputs, case.targets), 0.1
    ),
    "another damping": lambda case, g: truth(case, 0.11),
    "another sign": lambda case, g: -truth(case, 0.1),
    "the Hessian": lambda case, g: -torch.linalg.solve(case.hessian + 0.1 * torch.eye(len(g)), g),
    "the gradient": lambda case, g: -g,
}


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
def test_that_comparison_notices_another_direction(wrong):
    assert relative_error(direction(case(), 0.1), wrong(case(), case().gradient)) > 1e-2


def test_that_comparison_notices_whose_penalty_it_is():
    found = direction(case(), 0.1, penalty=0.7)
    for wrong in (truth(case(), 0.1), truth(case(), 0.1, weight_decay=0.7), truth(case(), 0.1, penalty=0.6)):
        assert relative_error(found, wrong) > 1e-2


# J̃ itself


PAIRS = [(model, "cross-entropy") for model in MODELS]
PAIRS += [(model, loss) for model in ("relu", "two convolutions", "sequence") for loss in LOSSES]


@pytest.mark.parametrize(("model", "loss"), dict.fromkeys(PAIRS))
def test_its_jacobian_gives_gradient_and_curvature(model, loss):
    given = case(model, loss)
    curvature, gradient = dense(given)
    found = jacobian(given)
    vector = torch.randn(len(gradient), dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    along = found.applied(vector)
    assert relative_error(found.gradient(), gradient) < 1e-11
    assert relative_error(found.pulled_back(along), curvature @ vector) < 1e-11
    assert float(along.square().sum()) == pytest.approx(float(vector @ curvature @ vector), rel=1e-11)
    torch.testing.assert_close(found.loss, given.loss(given.model(given.inputs), given.targets).detach())


@SOME_MODELS
def test_application_and_pulling_back_are_adjoint(model):
    found = jacobian(case(model))
    torch.manual_seed(0)
    vector = torch.randn(len(case(model).theta), dtype=torch.float64)
    weights = torch.randn_like(found.factors.residual)
    one, other = (found.applied(vector) * weights).sum(), vector @ found.pulled_back(weights)
    assert float(one) == pytest.approx(float(other), rel=1e-12)


def test_it_leaves_the_model_alone():
    given = case("two convolutions")
    before = copy.deepcopy(given.model.state_dict())
    direction(given, 0.1, 0.1, 0.1)
    assert all(torch.equal(value, before[name]) for name, value in given.model.state_dict().items())
    assert all(p.grad is None and p.requires_grad for p in given.parameters)


# Single precision


@cache
def trained(activation=nn.Tanh, steps=150):
    """A classifier in double precision after some training, with samples fitted and not."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(8, 16), activation(), nn.Linear(16, 16), activation(), nn.Linear(16, 4)).double()
    inputs = torch.randn(32, 8, dtype=torch.float64)
    targets = (inputs[:, 0] > 0).long() + 2 * (inputs[:, 1] * inputs[:, 2] > 0).long()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    for _ in range(steps):
        optimizer.zero_grad()
        functional.cross_entropy(model(inputs[:28]), targets[:28]).backward()
        optimizer.step()
    return Problem(model, functional.cross_entropy, inputs, targets)


def single(case):
    model = copy.deepcopy(case.model).float()
    return Problem(model, case.loss, case.inputs.float(), case.targets)


def relative_distance(found, expected):
    return float((found.double() - expected).norm() / expected.norm())


@pytest.mark.parametrize("options", REGULARIZATION.values(), ids=REGULARIZATION)
@pytest.mark.parametrize("activation", [nn.Tanh, nn.ReLU])
def test_single_precision_is_close_to_double(activation, options):
    given = trained(activation)
    assert relative_distance(direction(single(given), **options), truth(given, **options)) < 2e-4


@pytest.mark.parametrize("activation", [nn.Tanh, nn.ReLU])
def test_single_precision_is_as_close_as_the_push_through_form_promises(activation):
    given = trained(activation)
    assert relative_distance(direction(single(given), 1e-3), truth(given, 1e-3)) < 2e-5


def test_the_usual_form_is_further_away():
    # (g − J̃ᵀ (J̃J̃ᵀ + μ)⁻¹ J̃ g) / μ subtracts nearly equal numbers where μ is small.
    given, damping = trained(), 1e-3
    found = jacobian(single(given))
    rows = torch.stack([found.pulled_back(unit.view_as(found.factors.residual)) for unit in torch.eye(32 * 3)])
    gradient = found.gradient()
    inner = torch.linalg.solve(rows @ rows.T + damping * torch.eye(len(rows)), rows @ gradient)
    usual = -(gradient - rows.T @ inner) / damping
    ours = direction(single(given), damping)
    expected = truth(given, damping)
    assert relative_distance(usual, expected) > 5 * relative_distance(ours, expected)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("label", [0, 1], ids=["fitted", "misfitted"])
def test_a_sample_of_probability_1e_30_gives_a_finite_direction_down(label, dtype):
    model = nn.Linear(4, 3).to(dtype)
    with torch.no_grad():
        model.weight.copy_(torch.tensor([[30.0, 5, 0, 0], [-30, 5, 0, 1], [0, 0, 1, 0]]))
        model.bias.copy_(torch.tensor([9.0, 0, 1]))
    inputs = torch.tensor([[1.0, 0.5, -1, 0], [0, 0.1, 0.2, -0.3]], dtype=dtype)
    given = Problem(model, functional.cross_entropy, inputs, torch.tensor([label, 2]))
    found = direction(given, 1e-3)
    twin = Problem(copy.deepcopy(model).double(), given.loss, inputs.double(), given.targets)
    assert twin.model(twin.inputs).softmax(1)[0, 1] < 1e-29
    assert relative_distance(found, truth(twin, 1e-3)) < (1e-4 if dtype == torch.float32 else 1e-10)


# Refusals


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("damping and weight_decay are 0", {"damping": 0.0}),
        ("damping and weight_decay are 0", {"damping": 0.0, "penalty": 1.0}),
        ("damping is -0.1", {"damping": -0.1, "weight_decay": 1.0}),
        ("damping is nan", {"damping": float("nan")}),
        ("weight_decay is -0.1", {"damping": 1.0, "weight_decay": -0.1}),
        ("penalty is -0.1", {"damping": 1.0, "penalty": -0.1}),
    ],
)
def test_regularization_that_makes_no_positive_matrix_is_refused(name, options):
    with pytest.raises(ConfigurationError, match=name):
        direction(case(), **options)


@pytest.mark.parametrize("loss", [functional.l1_loss, functional.huber_loss], ids=["absolute error", "huber"])
def test_a_gradient_without_curvature_is_refused(loss):
    given = problem("tanh", "squared error")
    with pytest.raises(CapabilityError, match="gradient where it has no curvature"):
        direction(Problem(given.model, loss, given.inputs, 10 * given.targets), 0.1)


@pytest.mark.parametrize("loss", ["cross-entropy", "squared error"])
@pytest.mark.parametrize("model", ["tanh", "relu", "two convolutions"])
def test_what_is_not_finite_gives_a_direction_that_is_not(model, loss):
    given = copy.deepcopy(case(model, loss))
    network = take_apart(given.model, given.inputs)
    with torch.no_grad():
        given.parameters[0].view(-1)[0] = torch.nan
    found = output_jacobian(network, given.loss, given.inputs, given.targets)
    assert gauss_newton_direction(found, 0.1).isnan().any()
    assert found.loss.isnan()


@pytest.mark.parametrize("samples", [12, 16, 28])
@pytest.mark.parametrize("damping", [1e-9, 1e-11, 1e-12, 1e-14])
def test_too_little_damping_for_single_precision_gives_no_direction_rather_than_a_wrong_one(damping, samples):
    # Of equal samples the matrix is singular but for the identity, which is lost beside numbers of 1e8.
    all_samples = trained()
    inputs, targets = all_samples.inputs[:samples].repeat(4, 1), all_samples.targets[:samples].repeat(4)
    given = Problem(all_samples.model, all_samples.loss, inputs, targets)
    slope = float(given.gradient @ direction(single(given), damping).double())
    assert slope != slope or slope == pytest.approx(float(given.gradient @ truth(given, damping)), rel=0.05)


# What it costs


def test_the_multiplications_of_a_direction_by_hand():
    network = take_apart(nn.Sequential(nn.Linear(7, 5), nn.ReLU(), nn.Linear(5, 3)), torch.randn(4, 7))
    # 8 rows: each a pass through the second layer (15), the Gram matrices of deltas of 5 and 3 numbers, 8³ / 6.
    assert gauss_newton_multiplications(network, 4, 2) == 8 * 15 + 64 * (5 + 3) + 512 / 6


@pytest.mark.skipif(not torch.cuda.is_available(), reason="PyTorch sees no CUDA device")
@pytest.mark.parametrize("loss", ["cross-entropy", "squared error"])
@SOME_MODELS
def test_the_direction_on_a_gpu_is_that_on_the_cpu(model, loss):
    found = direction(case(model, loss, device="cuda"), 0.1, 0.1, 0.1)
    assert found.is_cuda
    assert relative_error(found.cpu(), direction(case(model, loss), 0.1, 0.1, 0.1)) < 1e-11
