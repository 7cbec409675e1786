"""Each variant of exact Newton steps as its definition says, with dense matrices in float64 as the definition."""

import copy
import io
import math
from functools import partial

import pytest
import torch
from torch import nn
from torch.autograd.functional import hessian, jacobian
from torch.func import functional_call
from torch.nn import functional
from torch.nn.utils import parameters_to_vector, vector_to_parameters

from secondorder.curvature import ExactHessian
from secondorder.curvature.layers import take_apart
from secondorder.errors import CapabilityError, ConfigurationError
from secondorder.optim import exact_newton
from secondorder.optim.flat_parameters import FlatParameters
from secondorder.training.objective import Objective
from secondorder.training.work import PRODUCT_PRICES, Work

SAMPLES, FEATURES, CLASSES = 5, 4, 3
VARIANTS = {
    "per_sample": {"variant": "per_sample"},
    "layerwise": {"variant": "layerwise"},
    "joint_hessian": {"variant": "joint_hessian"},
    "krylov": {"variant": "joint_hessian", "largest_rank": 1, "krylov_steps": 100},
    "joint_gauss_newton": {"variant": "joint_gauss_newton"},
}
EVERY = pytest.mark.parametrize("variant", VARIANTS)
PENALISED = pytest.mark.parametrize("variant", ["krylov", "joint_gauss_newton"])
ADJUSTMENTS = ("newton", "absolute", "positive", "flat")
ADJUSTED = [(variant, adjustment) for variant in VARIANTS for adjustment in ADJUSTMENTS]
NOT_ADJUSTED = [("joint_gauss_newton", "flat")]


def perceptron(activation=nn.Tanh):
    return nn.Sequential(nn.Linear(FEATURES, 4), activation(), nn.Linear(4, CLASSES))


def with_dropout():
    return nn.Sequential(nn.Linear(FEATURES, 4), nn.Tanh(), nn.Dropout(0.5), nn.Linear(4, CLASSES))


def with_normalisation():
    return nn.Sequential(nn.Linear(FEATURES, 4), nn.BatchNorm1d(4), nn.Tanh(), nn.Linear(4, CLASSES))


def convolutional():
    return nn.Sequential(nn.Unflatten(1, (1, 2, 2)), nn.Conv2d(1, 2, 2), nn.Tanh(), nn.Flatten(), nn.Linear(2, CLASSES))


def called_twice():
    layer = nn.Linear(FEATURES, FEATURES)
    return nn.Sequential(layer, nn.Tanh(), layer, nn.Tanh(), nn.Linear(FEATURES, CLASSES))


def sequence():
    return nn.Sequential(nn.Unflatten(1, (2, 2)), nn.Linear(2, 3), nn.Tanh(), nn.Flatten(), nn.Linear(6, CLASSES))


def frozen(name):
    model = perceptron()
    model.get_parameter(name).requires_grad_(False)
    return model


DERIVATIVES = {}  # dense ones, once for all tests


class Problem:
    """A network with a batch, optimized, and the dense derivatives of its objective."""

    def __init__(self, make=perceptron, loss=functional.cross_entropy, dtype=torch.float64, penalty=0.0, batch=SAMPLES):
        torch.manual_seed(0)
        self.model = make().to(dtype)
        self.make, self.loss, self.penalty = make, loss, penalty
        self.inputs = torch.randn(batch, FEATURES, dtype=torch.float64).to(dtype)
        labels = torch.arange(batch) % CLASSES
        indices = loss is functional.cross_entropy or "cross_entropy" in str(loss)
        self.targets = labels if indices else 2 * functional.one_hot(labels, CLASSES).to(dtype)
        self.work = Work(batch)

    @property
    def parameters(self):
        return [parameter for parameter in self.model.parameters() if parameter.requires_grad]

    @property
    def theta(self):
        return parameters_to_vector(self.parameters).detach().clone()

    def objective(self, kind=Objective, **options):
        return kind(self.model, self.loss, self.inputs, self.targets, self.work, self.penalty, **options)

    def optimizer(self, variant, **settings):
        return exact_newton.build(self.parameters, exact_newton.Settings(**{**VARIANTS[variant], **settings}))

    def step(self, variant, factor=1.0, **settings):
        """How far one step moves the parameters; the random numbers of seed 5 are those of the step."""
        before = self.theta
        torch.manual_seed(5)
        self.result = self.optimizer(variant, **settings).step(self.objective(), factor)
        return self.theta - before

    def copied(self):
        other = copy.copy(self)
        other.model = copy.deepcopy(self.model)
        return other

    # The dense side

    def outputs(self, theta):
        names = [name for name, parameter in self.model.named_parameters() if parameter.requires_grad]
        pieces = theta.split([parameter.numel() for parameter in self.parameters])
        shaped = {n: v.view_as(p) for n, v, p in zip(names, pieces, self.parameters, strict=True)}
        torch.manual_seed(5)
        # A copy: functional_call leaves a layer that is called twice with tensors that are no parameters.
        return functional_call(copy.deepcopy(self.model), shaped, (self.inputs,))

    @property
    def weights(self):
        return torch.cat([torch.full((p.numel(),), float(p.ndim > 1)) for p in self.parameters]).double()

    def value(self, theta, rows=slice(None)):
        loss = self.loss(self.outputs(theta)[rows], self.targets[rows])
        return loss + self.penalty / 2 * (self.weights * theta * theta).sum()

    def derivatives(self, rows=slice(None)):
        numbers = (tensor.numpy().tobytes() for tensor in (self.theta, self.inputs, self.targets))
        key = (self.make, self.loss, self.penalty, rows.start, rows.stop, *numbers)
        if key not in DERIVATIVES:
            value = partial(self.value, rows=rows)
            DERIVATIVES[key] = jacobian(value, self.theta), hessian(value, self.theta)
        return DERIVATIVES[key]

    def gauss_newton(self):
        by_parameters = jacobian(self.outputs, self.theta).flatten(0, 1)
        z = self.outputs(self.theta).detach()
        curved = hessian(lambda outputs: self.loss(outputs, self.targets), z).reshape(z.numel(), z.numel())
        return by_parameters.T @ curved @ by_parameters + torch.diag(self.penalty * self.weights)

    def blocks(self, matrix):
        """The diagonal blocks of the layers, a weight with its bias."""
        owners, number = [], {}
        for name, parameter in self.model.named_parameters():
            if parameter.requires_grad:
                owner = number.setdefault(name.rpartition(".")[0], len(number))
                owners += [owner] * parameter.numel()
        owners = torch.tensor(owners)
        return torch.where(owners[:, None] == owners, matrix, 0)

    def direction(self, variant, damping=0.1, adjustment="absolute", weight_decay=0.0):
        """d by its definition."""
        decay = weight_decay * self.theta
        solve = partial(adjusted_solve, adjustment=adjustment, added=damping + weight_decay)
        if variant in ("per_sample", "layerwise"):
            each = [self.derivatives(slice(i, i + 1)) for i in range(len(self.inputs))]
            keep = self.blocks if variant == "layerwise" else lambda matrix: matrix
            return torch.stack([solve(keep(curvature), gradient + decay) for gradient, curvature in each]).mean(0)
        gradient, curvature = self.derivatives()
        if variant == "joint_gauss_newton":
            return adjusted_solve(self.gauss_newton(), gradient + decay, "newton", damping + weight_decay)
        return solve(curvature, gradient + decay)


def adjusted_solve(matrix, gradient, adjustment, added):
    """−Q φ(Λ)⁻¹ Qᵀ g, φ written out."""
    values, vectors = torch.linalg.eigh(matrix)
    size = values.abs()
    sigma = (size**2).sum() / size.sum()
    adjusted = {
        "newton": values,
        "absolute": size,
        "positive": values.clamp(min=0),
        "flat": torch.where(values < 0, size / (1 + size / sigma), size * (1 + size / sigma)),
    }[adjustment]
    return -vectors @ ((vectors.T @ gradient) / (adjusted + added))


def error(found, expected):
    return float((found - expected).abs().max() / expected.abs().max())


# One step

NETWORKS = {
    "tanh": perceptron,
    "relu": partial(perceptron, nn.ReLU),
    "one layer": partial(nn.Linear, FEATURES, CLASSES),
    "dropout": with_dropout,
    "frozen weight": partial(frozen, "2.weight"),
    "frozen bias": partial(frozen, "0.bias"),
}


@pytest.mark.parametrize(
    "loss", [functional.cross_entropy, functional.mse_loss], ids=["cross-entropy", "squared error"]
)
@pytest.mark.parametrize("make", NETWORKS.values(), ids=NETWORKS)
@EVERY
def test_a_step_is_that_of_the_definition(variant, make, loss):
    expected = Problem(make, loss).direction(variant)
    assert error(Problem(make, loss).step(variant), expected) < 1e-9
    assert expected.abs().max() > 1e-3


@pytest.mark.parametrize("weight_decay", [0.0, 0.3])
@pytest.mark.parametrize(("variant", "adjustment"), [pair for pair in ADJUSTED if pair not in NOT_ADJUSTED])
def test_a_step_is_that_of_the_definition_with_every_adjustment(variant, adjustment, weight_decay):
    options = {"damping": 0.2, "adjustment": adjustment, "weight_decay": weight_decay}
    expected = Problem().direction(variant, **options)
    assert error(Problem().step(variant, **options), expected) < 1e-8


@pytest.mark.parametrize("damping", [1e-3, 1.0, 10.0])
@EVERY
def test_a_step_is_that_of_the_definition_with_every_damping(variant, damping):
    expected = Problem().direction(variant, damping)
    assert error(Problem().step(variant, damping=damping), expected) < 1e-8


@pytest.mark.parametrize("make", [convolutional, called_twice, sequence])
@pytest.mark.parametrize("variant", ["joint_hessian", "krylov", "joint_gauss_newton"])
def test_a_joint_step_is_that_of_the_definition_for_other_networks(variant, make):
    expected = Problem(make).direction(variant)
    assert error(Problem(make).step(variant), expected) < 1e-8


@pytest.mark.parametrize("make", [called_twice, sequence])
def test_a_step_of_per_sample_is_that_of_the_definition_where_a_layer_is_used_twice(make):
    assert error(Problem(make).step("per_sample"), Problem(make).direction("per_sample")) < 1e-9


@pytest.mark.parametrize("weight_decay", [0.0, 0.3])
@PENALISED
def test_a_step_with_a_penalty_is_that_of_the_penalised_objective(variant, weight_decay):
    options = {"damping": 0.2, "weight_decay": weight_decay}
    expected = Problem(penalty=0.7).direction(variant, **options)
    assert error(Problem(penalty=0.7).step(variant, **options), expected) < 1e-8
    assert error(Problem(penalty=0.0).direction(variant, **options), expected) > 0.1


def test_the_definitions_tell_the_variants_apart():
    names = [name for name in VARIANTS if name != "krylov"]
    directions = {name: Problem().direction(name) for name in names}
    pairs = [(a, b) for a in names for b in names if a < b]
    assert all(error(directions[a], directions[b]) > 1e-2 for a, b in pairs)


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(lambda p, v: -p.direction(v), id="another sign"),
        pytest.param(lambda p, v: p.direction(v, 0.11), id="another damping"),
        pytest.param(lambda p, v: p.direction(v, weight_decay=0.1), id="weight decay"),
        pytest.param(lambda p, v: -p.derivatives()[0] / 0.1, id="the damped gradient"),
    ],
)
@EVERY
def test_that_comparison_notices_another_direction(variant, other):
    assert error(Problem().step(variant), other(Problem(), variant)) > 1e-2


def test_that_comparison_notices_another_adjustment():
    steps = {name: Problem().step("joint_hessian", adjustment=name) for name in ADJUSTMENTS}
    assert all(error(steps[a], steps[b]) > 1e-3 for a in ADJUSTMENTS for b in ADJUSTMENTS if a < b)


@EVERY
def test_the_learning_rate_and_the_schedule_scale_the_step(variant):
    whole = Problem().step(variant)
    torch.testing.assert_close(Problem().step(variant, factor=0.5, learning_rate=0.3), 0.15 * whole)


@EVERY
def test_momentum_adds_the_directions_before(variant):
    problem, factors = Problem(), [1.0, 0.5, 0.25]
    twin = problem.copied()
    optimizer = problem.optimizer(variant, momentum=0.8, learning_rate=0.3)
    velocity = torch.zeros_like(problem.theta)
    for factor in factors:
        optimizer.step(problem.objective(), factor)
        velocity = 0.8 * velocity + twin.direction(variant)
        vector_to_parameters(twin.theta + 0.3 * factor * velocity, twin.parameters)
    assert error(problem.theta, twin.theta) < 1e-8


@EVERY
@pytest.mark.parametrize("make", [perceptron, partial(perceptron, nn.ReLU), with_dropout])
def test_the_loss_is_the_objectives_before_the_step(make, variant):
    problem = Problem(make, penalty=0.7 if variant in ("krylov", "joint_gauss_newton") else 0.0)
    expected = problem.value(problem.theta).detach()
    problem.step(variant)
    torch.testing.assert_close(problem.result.loss, expected, rtol=1e-12, atol=0)


@EVERY
def test_single_precision_steps_close_to_double(variant):
    single = Problem(dtype=torch.float32).step(variant)
    assert single.dtype == torch.float32
    assert error(single.double(), Problem().step(variant)) < 1e-4


@pytest.mark.parametrize("steps", [1, 3, 7])
def test_a_step_in_the_krylov_space_is_that_of_its_ritz_pairs(steps):
    problem = Problem()
    gradient, curvature = problem.derivatives()
    columns = [gradient]
    for _ in range(steps - 1):
        columns.append(curvature @ torch.linalg.qr(torch.stack(columns, 1)).Q[:, -1])
    basis = torch.linalg.qr(torch.stack(columns, 1)).Q
    expected = basis @ adjusted_solve(basis.T @ curvature @ basis, basis.T @ gradient, "absolute", 0.1)
    assert error(problem.step("krylov", krylov_steps=steps), expected) < 1e-9


@pytest.mark.parametrize(("steps", "bound"), [(2, (1e-3, 10)), (100, (0, 1e-9))])
def test_the_krylov_residual_says_how_good_the_space_is(steps, bound):
    problem = Problem()
    problem.step("krylov", krylov_steps=steps)
    assert bound[0] <= float(problem.result.diagnostics["krylov_residual"]) <= bound[1]


@pytest.mark.parametrize(
    ("variant", "name"), [("joint_hessian", "smallest_eigenvalue"), ("krylov", "smallest_ritz_value")]
)
def test_the_smallest_eigenvalue_is_reported(variant, name):
    problem = Problem()
    expected = torch.linalg.eigvalsh(problem.derivatives()[1])[0]
    problem.step(variant)
    assert float(problem.result.diagnostics[name]) == pytest.approx(float(expected), rel=1e-8)
    assert expected < 0


# joint_rank decides between eigenvalues and the Krylov space

EXACT_RANK = {
    "tanh": perceptron,
    "one layer": partial(nn.Linear, FEATURES, CLASSES),
    "one layer without bias": partial(nn.Linear, FEATURES, CLASSES, bias=False),
    "wide": lambda: nn.Sequential(nn.Linear(FEATURES, 11), nn.Tanh(), nn.Linear(11, 9), nn.Tanh(), nn.Linear(9, 3)),
    "no bias": lambda: nn.Sequential(nn.Linear(FEATURES, 6, bias=False), nn.Tanh(), nn.Linear(6, 3, bias=False)),
    "dropout": lambda: with_dropout().eval(),
    "convolution": convolutional,
    "called twice": called_twice,
    "batch normalisation": lambda: nn.Sequential(nn.BatchNorm1d(FEATURES), nn.Linear(FEATURES, CLASSES)).eval(),
    "frozen weight": partial(frozen, "2.weight"),
    "frozen bias": partial(frozen, "0.bias"),
}
BOUNDED_RANK = {
    "frozen first layer": lambda: nn.Sequential(perceptron().requires_grad_(False), nn.Linear(CLASSES, CLASSES)),
    "normalisation behind the first layer": lambda: with_normalisation().eval(),
    "sequence": sequence,
}


def ranks(make, batch):
    problem = Problem(make, batch=batch)
    exact = ExactHessian(problem.model, problem.loss, problem.inputs, problem.targets).rank
    return exact_newton.joint_rank(take_apart(problem.model, problem.inputs), batch), exact


@pytest.mark.parametrize("batch", [1, 2, 5, 20])
@pytest.mark.parametrize("make", EXACT_RANK.values(), ids=EXACT_RANK)
def test_the_rank_is_known_beforehand(make, batch):
    found, expected = ranks(make, batch)
    assert found == expected


@pytest.mark.parametrize("batch", [1, 2, 5, 20])
@pytest.mark.parametrize("make", BOUNDED_RANK.values(), ids=BOUNDED_RANK)
def test_the_rank_is_bounded_where_it_depends_on_what_moves(make, batch):
    found, expected = ranks(make, batch)
    assert found >= expected


@pytest.mark.parametrize("beyond", [0, 1])
def test_the_rank_decides_between_eigenvalues_and_the_krylov_space(beyond):
    problem = Problem()
    rank = exact_newton.joint_rank(take_apart(problem.model, problem.inputs), SAMPLES)
    problem.step("joint_hessian", largest_rank=rank - beyond)
    assert ("krylov_residual" in problem.result.diagnostics) == bool(beyond)
    assert (problem.work.products > 0) == bool(beyond)


# Adaptive damping


class Scaled(Objective):
    """An objective whose decrease after a step is measured as ``fraction`` of what it is."""

    def __init__(self, *arguments, fraction=1.0):
        super().__init__(*arguments)
        self.fraction = fraction
        self.start = super().loss()

    def loss(self):
        return self.start + self.fraction * (super().loss() - self.start)


def linear(**options):
    """A problem that is quadratic in the parameters."""
    return Problem(partial(nn.Linear, FEATURES, CLASSES), functional.mse_loss, **options)


# The fraction of the predicted decrease that is seen, what the damping is multiplied by, whether the step is kept.
RULE = [
    (1.0, 2 / 3, True),
    (2.0, 2 / 3, True),
    (0.76, 2 / 3, True),
    (0.74, 1, True),
    (0.26, 1, True),
    (0.24, 3 / 2, True),
    (0.01, 3 / 2, True),
    (-0.01, 3 / 2, False),
    (-5.0, 3 / 2, False),
    (math.nan, 3 / 2, False),
    (-math.inf, 3 / 2, False),
]


@pytest.mark.parametrize(("fraction", "factor", "kept"), RULE)
@EVERY
def test_damping_follows_the_decrease(variant, fraction, factor, kept):
    problem = linear()
    optimizer, before = problem.optimizer(variant, adapt_damping=True, damping=0.3, learning_rate=0.5), problem.theta
    result = optimizer.step(problem.objective(Scaled, fraction=fraction), 1.0)
    assert optimizer.state_dict()["damping"] == pytest.approx(0.3 * factor)
    assert torch.equal(problem.theta, before) != kept
    assert float(result.diagnostics["decrease_ratio"]) == pytest.approx(fraction, rel=1e-6, nan_ok=True)


@pytest.mark.parametrize("momentum", [0.0, 0.8])
@pytest.mark.parametrize("weight_decay", [0.0, 0.3])
@pytest.mark.parametrize("factor", [0.3, 0.05])
@EVERY
def test_the_ratio_is_1_where_the_objective_is_quadratic(variant, factor, weight_decay, momentum):
    problem = linear(penalty=0.2 if variant in ("krylov", "joint_gauss_newton") else 0.0)
    optimizer = problem.optimizer(variant, adapt_damping=True, weight_decay=weight_decay, momentum=momentum)
    for _ in range(3):
        result = optimizer.step(problem.objective(), factor)
        assert float(result.diagnostics["decrease_ratio"]) == pytest.approx(1, rel=1e-6)


@pytest.mark.parametrize("weight_decay", [0.0, 0.3])
@EVERY
def test_the_ratio_is_that_of_the_definition(variant, weight_decay):
    problem = Problem(penalty=0.2 if variant in ("krylov", "joint_gauss_newton") else 0.0)
    gradient, curvature = problem.derivatives()
    if variant == "joint_gauss_newton":
        curvature = problem.gauss_newton()
    start = problem.theta
    optimizer = problem.optimizer(variant, adapt_damping=True, weight_decay=weight_decay, damping=2.0)
    result = optimizer.step(problem.objective(), 1.0)
    moved = problem.theta - start
    predicted = (gradient + weight_decay * start) @ moved
    predicted = predicted + moved @ (curvature @ moved) / 2 + weight_decay * moved @ moved / 2
    values = [problem.value(theta) + weight_decay / 2 * theta @ theta for theta in (problem.theta, start)]
    expected = float((values[0] - values[1]) / predicted)
    assert float(result.diagnostics["decrease_ratio"]) == pytest.approx(expected, rel=1e-6)
    assert abs(expected - 1) > 1e-4


@EVERY
def test_a_step_that_raises_the_objective_is_taken_back_with_its_momentum(variant):
    problem = Problem()
    twin = problem.copied()
    far = problem.optimizer(variant, adapt_damping=True, learning_rate=1e3, momentum=0.9)
    far.step(problem.objective(), 1.0)
    assert torch.equal(problem.theta, twin.theta)
    assert far.state_dict()["damping"] == pytest.approx(0.15)
    # The next step knows nothing of the one before but the damping.
    far.step(problem.objective(), 1e-3)
    assert error(problem.theta - twin.theta, twin.direction(variant, 0.15)) < 1e-8


@pytest.mark.parametrize("variant", ["per_sample", "joint_hessian"])
def test_a_direction_that_ascends_is_taken_back(variant):
    # Small weights are near a saddle; on the way down from it plain Newton turns back up.
    torch.manual_seed(0)
    layers = [nn.Linear(FEATURES, 2, bias=False), nn.Tanh(), nn.Linear(2, CLASSES, bias=False)]
    problem = Problem(lambda: nn.Sequential(*layers))
    vector_to_parameters(0.1 * problem.theta, problem.parameters)
    for _ in range(20):
        vector_to_parameters(problem.theta - 0.3 * problem.derivatives()[0], problem.parameters)
    before = problem.theta
    optimizer = problem.optimizer(variant, adapt_damping=True, adjustment="newton", damping=1e-4)
    assert problem.derivatives()[0] @ problem.direction(variant, 1e-4, "newton") > 0, "the example does not ascend"
    result = optimizer.step(problem.objective(), 1e-3)
    assert torch.equal(problem.theta, before)
    assert optimizer.state_dict()["damping"] == pytest.approx(1.5e-4)
    assert math.isnan(result.diagnostics["decrease_ratio"])


@pytest.mark.parametrize(("damping", "fraction"), [(0.9e-8, 1.0), (1.1e8, -1.0)])
@EVERY
def test_damping_is_not_moved_beyond_its_range(variant, damping, fraction):
    problem = linear()
    optimizer = problem.optimizer(variant, adapt_damping=True, damping=damping, weight_decay=0.1)
    optimizer.step(problem.objective(Scaled, fraction=fraction), 1.0)
    assert optimizer.state_dict()["damping"] == damping


@EVERY
def test_damping_rests_where_nothing_is_left_to_gain(variant):
    problem = linear(dtype=torch.float32)
    problem.targets = problem.model(problem.inputs).detach()
    optimizer = problem.optimizer(variant, adapt_damping=True)
    for _ in range(3):
        result = optimizer.step(problem.objective(), 1.0)
    assert optimizer.state_dict()["damping"] == 0.1
    assert result.loss == 0
    assert math.isnan(result.diagnostics["decrease_ratio"])


@EVERY
def test_a_long_run_on_a_quadratic_stays_at_its_minimum(variant):
    problem = linear(dtype=torch.float32, batch=20)
    optimizer = problem.optimizer(variant, adapt_damping=True, **({"krylov_steps": 6} if variant == "krylov" else {}))
    losses = [float(optimizer.step(problem.objective(), 1.0).loss) for _ in range(50)]
    assert losses[-1] <= losses[20] * (1 + 1e-4)
    assert 5e-9 < optimizer.state_dict()["damping"] < 1


@EVERY
def test_a_factor_of_0_moves_neither_parameters_nor_damping(variant):
    problem = Problem()
    before, optimizer = problem.theta, problem.optimizer(variant, adapt_damping=True)
    optimizer.step(problem.objective(), 0.0)
    assert torch.equal(problem.theta, before)
    assert optimizer.state_dict()["damping"] == 0.1


# The state


def through_a_file(state):
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    return torch.load(file, map_location="cpu", weights_only=True)


@EVERY
def test_it_resumes_bitwise_from_a_file(variant):
    options = {"momentum": 0.8, "adapt_damping": True, "learning_rate": 0.7}
    problem = Problem(with_dropout, dtype=torch.float32)
    optimizer = problem.optimizer(variant, **options)
    for _ in range(3):
        optimizer.step(problem.objective(), 1.0)
    state = through_a_file([problem.model.state_dict(), optimizer.state_dict(), torch.get_rng_state()])
    assert state[1]["damping"] != 0.1
    ends = []
    for resumed in (False, True):
        if resumed:
            problem, optimizer = Problem(with_dropout, dtype=torch.float32), problem.optimizer(variant, **options)
            optimizer = problem.optimizer(variant, **options)
            problem.model.load_state_dict(state[0])
            optimizer.load_state_dict(state[1])
            torch.set_rng_state(state[2])
        losses = [float(optimizer.step(problem.objective(), 1.0).loss) for _ in range(4)]
        ends.append((losses, problem.theta, torch.get_rng_state(), optimizer.state_dict()["damping"]))
    assert ends[0][0] == ends[1][0]
    assert ends[0][3] == ends[1][3]
    assert all(torch.equal(a, b) for a, b in zip(ends[0][1:3], ends[1][1:3], strict=True))


def test_a_state_does_not_change_with_the_steps_that_follow():
    problem = Problem()
    optimizer = problem.optimizer("joint_gauss_newton", momentum=0.8)
    optimizer.step(problem.objective(), 1.0)
    state = optimizer.state_dict()
    kept = copy.deepcopy(state)
    optimizer.step(problem.objective(), 1.0)
    assert torch.equal(state["velocity"], kept["velocity"])


@pytest.mark.skipif(not torch.cuda.is_available(), reason="PyTorch sees no CUDA device")
@EVERY
def test_it_resumes_on_a_gpu_from_a_file(variant):
    problem = Problem()
    problem.model, problem.inputs, problem.targets = problem.model.cuda(), problem.inputs.cuda(), problem.targets.cuda()
    optimizer = problem.optimizer(variant, momentum=0.8, adapt_damping=True)
    optimizer.step(problem.objective(), 1.0)
    resumed = problem.optimizer(variant, momentum=0.8, adapt_damping=True)
    resumed.load_state_dict(through_a_file(optimizer.state_dict()))
    before = problem.theta
    resumed.step(problem.objective(), 1.0)
    assert torch.isfinite(problem.theta - before).all()


# Refusals


class Cross(nn.Module):
    """A linear layer whose weight is also added to its output."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(FEATURES, CLASSES)

    def forward(self, inputs):
        return self.layer(inputs) + self.layer.weight.sum()


def weighted():
    return partial(functional.cross_entropy, weight=torch.tensor([0.1, 1.0, 5.0], dtype=torch.float64))


def summed():
    return partial(functional.cross_entropy, reduction="sum")


# name: (variants, options of the problem, what the error says)
REFUSED = {
    "convolution per sample": (["per_sample"], {"make": convolutional}, r"'1'.*'joint_gauss_newton'"),
    "convolution layerwise": (["layerwise"], {"make": convolutional}, r"'1'.*dense layers.*joint_gauss_newton"),
    "sequence layerwise": (["layerwise"], {"make": sequence}, r"'1'.*uses once"),
    "layer called twice layerwise": (["layerwise"], {"make": called_twice}, r"'0'.*uses once"),
    "penalty": (
        ["per_sample", "layerwise", "joint_hessian"],
        {"penalty": 1e-2},
        r"penalty of 0\.01.*'joint_gauss_newton'",
    ),
    "batch normalisation": (list(VARIANTS), {"make": with_normalisation}, r"'1'.*batch_norm in training mode.*eval"),
    "parameter used elsewhere": (list(VARIANTS), {"make": Cross}, r"'layer'.*sum"),
    "weighted loss": (["per_sample", "layerwise"], {"loss": weighted()}, "weighted mean; use 'joint_gauss_newton'"),
    "sum of losses": (["per_sample", "layerwise"], {"loss": summed()}, "a sum or a weighted mean"),
    "sum of losses, relu": (
        ["layerwise"],
        {"loss": summed(), "make": partial(perceptron, nn.ReLU)},
        "a sum or a weighted mean",
    ),
    "loss without curvature": (
        ["joint_gauss_newton"],
        {"loss": functional.l1_loss},
        "gradient where it has no curvature.*squared errors",
    ),
}
CASES = {
    f"{variant}: {name}": (variant, options, message)
    for name, (variants, options, message) in REFUSED.items()
    for variant in variants
}


def is_one_sentence(error):
    text = str(error.value)
    return "\n" not in text and len(text) < 300 and ". " not in text and not text.endswith(".")


@pytest.mark.parametrize(("variant", "options", "message"), CASES.values(), ids=CASES)
def test_what_a_variant_cannot_do_is_refused_in_one_sentence(variant, options, message):
    problem = Problem(**options)
    before = problem.theta
    with pytest.raises(CapabilityError, match=message) as error:
        problem.step(variant)
    assert is_one_sentence(error)
    assert torch.equal(problem.theta, before)


@pytest.mark.parametrize("loss", [weighted(), summed()], ids=["weighted", "summed"])
@pytest.mark.parametrize("variant", ["joint_hessian", "krylov", "joint_gauss_newton"])
def test_a_joint_step_takes_a_weighted_or_summed_loss(variant, loss):
    assert error(Problem(loss=loss).step(variant), Problem(loss=loss).direction(variant)) < 1e-8


@pytest.mark.parametrize("rows", [SAMPLES * CLASSES - 1, SAMPLES * CLASSES])
def test_a_batch_of_too_many_outputs_is_refused_before_anything_is_computed(rows, monkeypatch):
    monkeypatch.setattr(exact_newton, "LARGEST_GAUSS_NEWTON_ROWS", rows)
    problem = Problem()
    if rows == SAMPLES * CLASSES:
        problem.step("joint_gauss_newton")
        return
    monkeypatch.setattr(exact_newton, "output_jacobian", None)
    with pytest.raises(
        CapabilityError, match=r"'joint_gauss_newton'.* 5 × 3, of up to 14 rows; use a smaller"
    ) as error:
        problem.step("joint_gauss_newton")
    assert is_one_sentence(error)


def test_an_autoencoders_outputs_are_too_many():
    problem = Problem(lambda: nn.Linear(FEATURES, 784), functional.mse_loss, batch=64)
    problem.targets = torch.zeros(64, 784, dtype=torch.float64)
    with pytest.raises(CapabilityError, match="64 × 784"):
        problem.step("joint_gauss_newton")


def test_matrices_of_too_many_samples_are_refused(monkeypatch):
    # Coordinates of a sample: 4 of the first layer, 3 + 4 of the second.
    monkeypatch.setattr(exact_newton, "LARGEST_PER_SAMPLE_NUMBERS", SAMPLES * 11**2 - 1)
    with pytest.raises(CapabilityError, match=r"needs 5 matrices of 11 rows.*'layerwise'") as error:
        Problem().step("per_sample")
    assert is_one_sentence(error)
    monkeypatch.setattr(exact_newton, "LARGEST_PER_SAMPLE_NUMBERS", SAMPLES * 11**2)
    Problem().step("per_sample")


def test_flat_needs_eigenvalues():
    with pytest.raises(ConfigurationError, match=r"'flat'.*'joint_gauss_newton'.*use 'absolute'"):
        exact_newton.Settings(adjustment="flat")


def test_batch_normalisation_in_evaluation_mode_is_no_obstacle():
    for variant in ("joint_hessian", "krylov", "joint_gauss_newton"):
        problem = Problem(lambda: with_normalisation().eval())
        buffers = copy.deepcopy(dict(problem.model.named_buffers()))
        expected = problem.copied().direction(variant)
        assert error(problem.step(variant), expected) < 1e-8
        assert all(torch.equal(value, buffers[name]) for name, value in problem.model.named_buffers())


# Divergence


@pytest.mark.parametrize("value", [math.nan, 1e300])
@pytest.mark.parametrize("adapt_damping", [False, True])
@pytest.mark.parametrize(
    "loss", [functional.cross_entropy, functional.mse_loss], ids=["cross-entropy", "squared error"]
)
@pytest.mark.parametrize("make", [perceptron, partial(perceptron, nn.ReLU)], ids=["tanh", "relu"])
@EVERY
def test_a_diverged_network_has_a_loss_that_is_not_finite_and_no_exception(variant, make, loss, adapt_damping, value):
    problem = Problem(make, loss)
    optimizer = problem.optimizer(variant, adapt_damping=adapt_damping, momentum=0.5)
    optimizer.step(problem.objective(), 1.0)
    with torch.no_grad():
        problem.model[2].weight.fill_(value)
    result = optimizer.step(problem.objective(), 1.0)
    assert result.loss.ndim == 0
    assert value == 1e300 or not torch.isfinite(result.loss)


def test_a_gradient_of_0_is_no_divergence():
    for variant in VARIANTS:
        problem = linear()
        problem.targets = problem.model(problem.inputs).detach()
        moved = problem.step(variant)
        assert problem.result.loss == 0
        assert moved.abs().max() < 1e-14


# What a step leaves


@EVERY
def test_parameters_stay_leaves_of_no_graph(variant):
    problem = Problem()
    problem.step(variant, adapt_damping=True, momentum=0.5)
    assert all(p.is_leaf and p.requires_grad and p.grad_fn is None for p in problem.parameters)
    assert all(
        p.grad is None or (not p.grad.requires_grad and torch.isfinite(p.grad).all()) for p in problem.parameters
    )
    assert not problem.result.loss.requires_grad


@EVERY
def test_parameters_are_moved_in_place(variant):
    problem = Problem()
    before = [(id(p), p.data_ptr()) for p in problem.parameters]
    problem.step(variant)
    assert [(id(p), p.data_ptr()) for p in problem.parameters] == before


@EVERY
def test_frozen_parameters_stay(variant):
    problem = Problem(partial(frozen, "0.weight"))
    before = problem.model[0].weight.clone()
    problem.step(variant)
    assert torch.equal(problem.model[0].weight, before)
    assert not problem.model[0].weight.requires_grad


@EVERY
def test_a_step_under_no_grad_is_the_same(variant):
    with torch.no_grad():
        found = Problem().step(variant)
    assert torch.equal(found, Problem().step(variant))


@EVERY
def test_the_random_numbers_go_on_as_after_one_evaluation(variant):
    problem = Problem(with_dropout)
    problem.step(variant, adapt_damping=True)
    after = torch.rand(3)
    torch.manual_seed(5)
    problem.model(problem.inputs)
    assert torch.equal(after, torch.rand(3))


@EVERY
def test_another_batch_size_is_taken(variant):
    problem = Problem()
    optimizer = problem.optimizer(variant)
    optimizer.step(problem.objective(), 1.0)
    problem.inputs, problem.targets = problem.inputs[:3], problem.targets[:3]
    before, expected = problem.theta, problem.copied().direction(variant)
    optimizer.step(problem.objective(), 1.0)
    assert error(problem.theta - before, expected) < 1e-8


@EVERY
def test_another_model_is_taken(variant):
    problem = Problem()
    optimizer = problem.optimizer(variant)
    optimizer.step(problem.objective(), 1.0)
    other = copy.deepcopy(problem.model)
    optimizer._parameters = FlatParameters(other.parameters())
    problem.model = other
    before, expected = problem.theta, problem.copied().direction(variant)
    optimizer.step(problem.objective(), 1.0)
    assert error(problem.theta - before, expected) < 1e-8


# Work: a network 4-4-3 has 28 multiplications, its gradient 84; 12 of them behind the first layer.

GRADIENT = 84
ROWS = 2 * (4 + 3) * 12
WORK = {
    # Of each sample the second derivatives and the eigenvalue problem of 11 coordinates.
    "per_sample": SAMPLES * (ROWS + 5.5 * 11**3),
    # Of each sample the second derivatives and the eigenvalue problems of 4 and 3 rows.
    "layerwise": SAMPLES * (ROWS + 4.5 * (4**3 + 3**3)),
    # The second derivatives and the eigenvalue problem of all coordinates, no more than the 4 · 5 + 3 · 5 parameters.
    "joint_hessian": SAMPLES * ROWS + 5.5 * 35**3,
    "krylov": 0.0,
    # 2 rows per sample: each a pass behind the first layer; the Gram matrices and the factorization of 10 rows.
    "joint_gauss_newton": 10 * 12 + 10**2 * (4 + 3) + 10**3 / 6,
}
KRYLOV_STEPS = 6


@pytest.mark.parametrize("unit", [SAMPLES, 2 * SAMPLES])
@pytest.mark.parametrize("adapt_damping", [False, True])
@EVERY
def test_a_steps_work_is_counted(variant, adapt_damping, unit):
    problem = Problem()
    problem.work = Work(unit)
    problem.step(
        variant, adapt_damping=adapt_damping, **({"krylov_steps": KRYLOV_STEPS} if variant == "krylov" else {})
    )
    products = (KRYLOV_STEPS if variant == "krylov" else 0) + (adapt_damping and variant != "joint_gauss_newton")
    losses = int(adapt_damping)
    # The first product at a point takes a gradient; in the Krylov space it is the gradient of the step.
    gradients = 2 if products and variant != "krylov" else 1
    batches = gradients + losses / 3 + 2 * products
    assert problem.work.counts() == {
        "gradients": gradients,
        "losses": losses,
        "products": products,
        "gradient_equivalents": pytest.approx(batches * SAMPLES / unit + WORK[variant] / (GRADIENT * unit)),
    }


@pytest.mark.parametrize("method", PRODUCT_PRICES)
def test_products_are_of_the_method_that_is_named_and_at_its_price(method):
    problem = Problem()
    moved = problem.step("krylov", product=method, krylov_steps=4)
    assert error(moved, Problem().step("krylov", krylov_steps=4)) < (1e-4 if method == "finite_difference" else 1e-9)
    assert problem.work.gradient_equivalents == pytest.approx(1 + 4 * PRODUCT_PRICES[method])


def test_each_step_is_paid_alike():
    for variant in VARIANTS:
        problem = Problem()
        optimizer, spent = problem.optimizer(variant), [0.0]
        for _ in range(3):
            optimizer.step(problem.objective(), 1.0)
            spent.append(problem.work.gradient_equivalents)
        assert spent[3] - spent[2] == pytest.approx(spent[1])


# A model that couples samples


class Coupled(nn.Module):
    """A perceptron whose samples see each other."""

    def __init__(self, couple, activation):
        super().__init__()
        self.couple = couple
        self.layers = perceptron(activation)

    def forward(self, inputs):
        return self.layers(self.couple(inputs))


COUPLINGS = {
    "centred": lambda inputs: inputs - inputs.mean(0),
    "rolled": lambda inputs: inputs + inputs.roll(1, 0),
}


@pytest.mark.parametrize("variant", [name for name in VARIANTS if name != "krylov"])
@pytest.mark.parametrize("activation", [nn.ReLU, nn.Tanh])
def test_a_model_whose_hidden_units_couple_samples_is_refused(variant, activation):
    def make():
        centred = Coupled(COUPLINGS["centred"], activation)
        return nn.Sequential(nn.Linear(FEATURES, FEATURES), centred)

    with pytest.raises(CapabilityError, match=r"alone|wrong"):
        Problem(make).step(variant)


@pytest.mark.parametrize("variant", ["per_sample", "layerwise", "joint_gauss_newton"])
@pytest.mark.parametrize("couple", ["centred", "rolled"])
def test_a_model_whose_inputs_couple_samples_is_refused(variant, couple):
    with pytest.raises(CapabilityError, match="another output when it is alone"):
        Problem(partial(Coupled, COUPLINGS[couple], nn.ReLU)).step(variant)
