"""A step of Newton-Krylov is what its definition says, with dense matrices in float64 as the definition."""

import copy
import math
from functools import partial
from itertools import pairwise
from typing import get_args

import pytest
import torch
from torch import nn
from torch.autograd.functional import hessian, jacobian
from torch.func import functional_call
from torch.nn import functional
from torch.nn.utils import parameters_to_vector, vector_to_parameters

from secondorder.curvature.hessian_vector_products import MethodName
from secondorder.errors import ConfigurationError
from secondorder.newton.krylov_end import KrylovEnd
from secondorder.optim import newton_krylov
from secondorder.training.objective import Objective
from secondorder.training.work import PRODUCT_PRICES, Work

SAMPLES = 20
CONTROLS = get_args(newton_krylov.Control)
METHODS = get_args(MethodName)
EVERY = pytest.mark.parametrize("control", CONTROLS)
MEASURED = pytest.mark.parametrize("control", [control for control in CONTROLS if control != "fixed"])
# Enough products and room for the whole Newton step.
WHOLE = {"krylov_steps": 100, "residual_tolerance": 1e-12, "initial_radius": 1e3, "largest_radius": 1e3}


def perceptron():
    return nn.Sequential(nn.Linear(4, 3), nn.Tanh(), nn.Linear(3, 3))


def with_batch_norm_and_dropout():
    return nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Tanh(), nn.Dropout(0.3), nn.Linear(8, 3))


class Problem:
    """A network with a batch, optimized, and the dense derivatives of its objective."""

    def __init__(self, make=perceptron, loss=functional.cross_entropy, penalty=0.0, dtype=torch.float64):
        torch.manual_seed(0)
        self.model, self.loss, self.penalty = make().to(dtype), loss, penalty
        self.inputs = torch.randn(SAMPLES, 4, dtype=torch.float64).to(dtype)
        labels = torch.arange(SAMPLES) % 3
        self.targets = labels if loss is functional.cross_entropy else functional.one_hot(labels, 3).to(dtype)
        self.work = Work(SAMPLES)

    @property
    def parameters(self):
        return list(self.model.parameters())

    @property
    def theta(self):
        return parameters_to_vector(self.parameters).detach().clone()

    def objective(self, kind=Objective, **options):
        return kind(self.model, self.loss, self.inputs, self.targets, self.work, self.penalty, **options)

    def optimizer(self, **settings):
        return newton_krylov.build(self.parameters, newton_krylov.Settings(**settings))

    def step(self, factor=1.0, **settings):
        """How far one step moves the parameters."""
        before = self.theta
        self.result = self.optimizer(**settings).step(self.objective(), factor)
        return self.theta - before

    def diagnostic(self, name):
        return float(self.result.diagnostics[name])

    # The dense side

    def value(self, theta, rows=slice(None)):
        pieces = theta.split([p.numel() for p in self.parameters])
        named = dict(self.model.named_parameters())
        shaped = {n: v.view_as(p) for (n, p), v in zip(named.items(), pieces, strict=True)}
        loss = self.loss(functional_call(self.model, shaped, (self.inputs[rows],)), self.targets[rows])
        return loss + self.penalty / 2 * sum((p**2).sum() for p in shaped.values() if p.ndim > 1)

    def derivatives(self, rows=slice(None)):
        return jacobian(partial(self.value, rows=rows), self.theta), hessian(partial(self.value, rows=rows), self.theta)


def regression(**options):
    """A problem that is quadratic in the parameters."""
    return Problem(partial(nn.Linear, 4, 3), functional.mse_loss, **options)


def by_hand(diagonal, linear, dtype=torch.float64):
    """f(w) = ½ Σ aᵢ wᵢ² + Σ bᵢ wᵢ at w = 0, as the loss of a layer without bias whose inputs are unit vectors."""
    a, b = (torch.tensor(values, dtype=dtype) for values in (diagonal, linear))
    problem = Problem(partial(nn.Linear, len(a), 1, bias=False), dtype=dtype)
    problem.loss = lambda outputs, targets: (a * outputs[:, 0] * outputs[:, 0]).sum() / 2 + (b * outputs[:, 0]).sum()
    problem.inputs, problem.targets = torch.eye(len(a), dtype=dtype), torch.zeros(len(a))
    with torch.no_grad():
        problem.model.weight.zero_()
    return problem


def ended_early(matrix, gradient, steps):
    """Conjugate gradients by the textbook, ended before the first direction of negative curvature."""
    direction, residual = torch.zeros_like(gradient), -gradient
    conjugate = residual
    for number in range(steps):
        along = conjugate @ matrix @ conjugate
        if along <= 0:
            return direction if number else -gradient
        length = residual @ residual / along
        direction, before = direction + length * conjugate, residual
        residual = residual - length * matrix @ conjugate
        conjugate = residual + (residual @ residual) / (before @ before) * conjugate
    return direction


def error(found, expected):
    return float((found - expected).abs().max() / expected.abs().max())


# One step


@EVERY
@pytest.mark.parametrize("penalty", [0.0, 0.3])
def test_a_step_on_a_quadratic_is_that_of_newton(control, penalty):
    problem = regression(penalty=penalty)
    gradient, matrix = problem.derivatives()
    moved = problem.step(control=control, **WHOLE)
    assert error(moved, -torch.linalg.solve(matrix, gradient)) < 1e-9
    assert problem.diagnostic("krylov_end") == KrylovEnd.CONVERGED
    assert problem.diagnostic("step_size") == 1


@EVERY
@pytest.mark.parametrize(("weight_decay", "damping"), [(0.3, 0.0), (0.0, 0.2), (0.3, 0.2)])
def test_regularization_is_part_of_the_objective_and_damping_of_the_solve_alone(control, weight_decay, damping):
    problem = regression(penalty=0.1)
    gradient, matrix = problem.derivatives()
    start = problem.theta
    objective_gradient = gradient + weight_decay * start
    identity = torch.eye(len(start)).double()
    expected = -torch.linalg.solve(matrix + (weight_decay + damping) * identity, objective_gradient)
    moved = problem.step(control=control, weight_decay=weight_decay, damping=damping, **WHOLE)
    assert error(moved, expected) < 1e-9
    predicted = objective_gradient @ expected + expected @ (matrix + weight_decay * identity) @ expected / 2
    assert problem.diagnostic("predicted_change") == pytest.approx(float(predicted), rel=1e-9)


@MEASURED
@pytest.mark.parametrize("weight_decay", [0.0, 0.3])
def test_changes_and_their_error_are_those_of_the_definition(control, weight_decay):
    problem = Problem(penalty=0.1)
    start, (gradient, matrix) = problem.theta, problem.derivatives()
    moved = problem.step(control=control, weight_decay=weight_decay, learning_rate=0.3, krylov_steps=3)
    curved = moved @ matrix @ moved + weight_decay * moved @ moved
    predicted = float((gradient + weight_decay * start) @ moved + curved / 2)
    before, after = (problem.value(t) + weight_decay / 2 * t @ t for t in (start, start + moved))
    assert problem.diagnostic("predicted_change") == pytest.approx(predicted, rel=1e-9)
    assert problem.diagnostic("actual_change") == pytest.approx(float(after - before), rel=1e-9)
    expected = abs(float(after - before) - predicted) / abs(predicted)
    assert problem.diagnostic("taylor_error") == pytest.approx(expected, rel=1e-6)
    assert expected > 1e-4


@pytest.mark.parametrize("steps", [1, 2, 5, 10])
def test_a_step_where_the_hessian_is_indefinite_ends_early(steps):
    problem = Problem()
    gradient, matrix = problem.derivatives()
    assert torch.linalg.eigvalsh(matrix)[0] < 0
    moved = problem.step(control="fixed", krylov_steps=steps)
    assert error(moved, ended_early(matrix, gradient, steps)) < 1e-9


def test_it_says_that_it_ended_early_and_why():
    problem = by_hand([1.0, -0.01], [1.0, 0.5])
    moved = problem.step(control="fixed")
    # p = -(1, 1/2): pᵀHp = 399/400, ‖p‖² = 5/4, so α = 500/399; the next direction goes along the second axis.
    torch.testing.assert_close(moved, -500 / 399 * torch.tensor([1.0, 0.5]).double())
    assert problem.diagnostic("krylov_end") == KrylovEnd.DISTURBED
    assert problem.diagnostic("krylov_products") == 2
    assert problem.diagnostic("largest_curvature") == pytest.approx(399 / 500)
    assert problem.diagnostic("smallest_curvature") < 0


@pytest.mark.parametrize("damping", [0.0, 5.0])
def test_curvature_is_the_objectives_however_it_is_damped(damping):
    problem = by_hand([3.0, 3.0], [1.0, 0.5])
    problem.step(control="fixed", damping=damping)
    assert problem.diagnostic("smallest_curvature") == pytest.approx(3.0)


def test_an_ascending_direction_gives_way_to_the_steepest_descent():
    problem = by_hand([1.0, -0.01], [1.0, 0.5])
    # Plain conjugate gradients end at the saddle (-1, 50), uphill.
    moved = problem.step(control="fixed", end_early=False, learning_rate=0.1)
    torch.testing.assert_close(moved, -0.1 * torch.tensor([1.0, 0.5]).double())
    assert problem.diagnostic("krylov_descends") == 0
    assert problem.work.products == problem.diagnostic("krylov_products") == 2
    assert problem.diagnostic("predicted_change") == pytest.approx(-0.1 * 1.25 + 0.005 * (1 - 0.0025))


def test_a_descending_direction_is_kept_without_early_end():
    problem = by_hand([1.0, -1.0], [1.0, 0.1])
    moved = problem.step(control="fixed", end_early=False)
    torch.testing.assert_close(moved, torch.tensor([-1.0, 0.1]).double())
    assert problem.diagnostic("krylov_descends") == 1


@pytest.mark.parametrize("samples", [3, 11])
def test_products_may_be_over_the_last_samples(samples):
    problem = regression()
    gradient, whole = problem.derivatives()
    _, matrix = problem.derivatives(slice(SAMPLES - samples, SAMPLES))
    options = {"damping": 0.1, "curvature_samples": samples, "control": "fixed"}
    damped = matrix + 0.1 * torch.eye(len(gradient)).double()
    moved = problem.step(**options, **WHOLE)
    assert error(moved, -torch.linalg.solve(damped, gradient)) < 1e-8
    assert error(moved, -torch.linalg.solve(damped + whole - matrix, gradient)) > 1e-2


@pytest.mark.parametrize("method", METHODS)
def test_every_method_of_products_makes_the_same_step(method):
    moved = Problem().step(product=method, krylov_steps=4)
    expected = Problem().step(product="double_backward", krylov_steps=4)
    assert error(moved, expected) < (1e-4 if method == "finite_difference" else 1e-9)


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(lambda g, h: g, id="another sign"),
        pytest.param(lambda g, h: -g, id="the gradient"),
        pytest.param(lambda g, h: -torch.linalg.solve(h + 0.01 * torch.eye(len(g)).double(), g), id="another damping"),
    ],
)
def test_that_comparison_notices_another_direction(other):
    problem = regression()
    expected = other(*problem.derivatives())
    assert error(problem.step(**WHOLE), expected) > 1e-3


def test_single_precision_steps_close_to_double():
    single = Problem(dtype=torch.float32).step(krylov_steps=3)
    assert single.dtype == torch.float32
    assert error(single.double(), Problem().step(krylov_steps=3)) < 1e-4


# The learning rate


@pytest.mark.parametrize("control", ["fixed", "taylor", "armijo"])
def test_the_learning_rate_and_the_schedule_bound_the_step(control):
    problem = regression()
    moved = problem.step(factor=0.5, control=control, learning_rate=0.3, **WHOLE)
    assert error(moved, 0.15 * regression().step(**WHOLE)) < 1e-9


@EVERY
def test_a_factor_of_0_moves_nothing(control):
    problem = Problem()
    optimizer, before = problem.optimizer(control=control), problem.theta
    state = optimizer.state_dict()
    optimizer.step(problem.objective(), 0.0)
    assert torch.equal(problem.theta, before)
    assert {**optimizer.state_dict(), "checked": False} == state


# Control by the Taylor expansion


class Scaled(Objective):
    """An objective whose change after a step is measured as ``fraction`` of what it is."""

    def __init__(self, *arguments, fraction=1.0):
        super().__init__(*arguments)
        self.fraction, self.start = fraction, super().loss()

    def loss(self):
        return self.start + self.fraction * (super().loss() - self.start)


# The fraction of the predicted decrease that is seen, α of the step, α of the next one, of 0.5 before.
TAYLOR = [
    pytest.param(1.0, 0.5, 1.0, id="agreement"),
    pytest.param(0.8, 0.5, 1.0, id="near agreement"),
    pytest.param(0.7, 0.5, 0.5, id="fair agreement"),
    pytest.param(0.3, 0.5, 0.5, id="just accepted"),
    pytest.param(0.2, 0.0, 0.5**4, id="disagreement"),
    pytest.param(-1.0, 0.0, 0.5**4, id="ascent"),
    pytest.param(math.nan, 0.0, 0.5**4, id="no number"),
]


@pytest.mark.parametrize(("fraction", "taken", "kept"), TAYLOR)
def test_the_step_follows_the_taylor_error(fraction, taken, kept):
    problem = regression()
    optimizer, before = problem.optimizer(initial_step=0.5, retries=2, **WHOLE), problem.theta
    whole = copy.deepcopy(problem).step(**WHOLE)
    result = optimizer.step(problem.objective(Scaled, fraction=fraction), 1.0)
    assert optimizer.state_dict()["length"] == kept
    assert result.diagnostics["step_size"] == taken
    torch.testing.assert_close(problem.theta - before, taken * whole)


def test_a_step_shrinks_where_the_quadratic_model_is_wrong():
    problem = Problem()
    optimizer = problem.optimizer(learning_rate=64.0, initial_step=64.0, retries=12, krylov_steps=3)
    before = problem.value(problem.theta)
    result = optimizer.step(problem.objective(), 1.0)
    assert result.diagnostics["retries"] > 0
    assert optimizer.state_dict()["length"] == result.diagnostics["step_size"] < 64
    assert result.diagnostics["taylor_error"] <= 0.75
    assert problem.value(problem.theta) < before


def test_the_step_grows_back_to_the_learning_rate():
    problem = regression()
    optimizer = problem.optimizer(initial_step=0.1, **WHOLE)
    lengths = [optimizer.step(problem.objective(), 1.0).diagnostics["step_size"] for _ in range(5)]
    assert lengths == pytest.approx([0.1, 0.2, 0.4, 0.8, 1.0])


@MEASURED
def test_a_step_that_is_not_taken_leaves_the_parameters_bitwise(control):
    problem = Problem(with_batch_norm_and_dropout, dtype=torch.float32)
    before = problem.theta
    objective = problem.objective(Scaled, fraction=-1.0)
    result = problem.optimizer(control=control).step(objective, 1.0)
    assert torch.equal(problem.theta, before)
    assert result.diagnostics["step_size"] == 0
    assert result.diagnostics["actual_change"] > 0


@MEASURED
def test_nothing_moves_by_much_where_nothing_is_left_to_gain(control):
    problem = regression(dtype=torch.float32)
    optimizer = problem.optimizer(control=control)
    losses = [float(optimizer.step(problem.objective(), 1.0).loss) for _ in range(30)]
    assert losses[-1] <= losses[10] * (1 + 1e-5)
    assert optimizer.state_dict()["length"] > 0.1
    assert optimizer.state_dict()["radius"] > 0.1


# The other controls


def test_armijo_takes_the_first_length_with_enough_decrease():
    problem = by_hand([1.0, 1.0], [1.0, 0.5])
    # Newton's step to the minimum, four times as long: at 4 and 2 no decrease, at 1 half of the slope's.
    moved = problem.step(control="armijo", learning_rate=4.0)
    torch.testing.assert_close(moved, -torch.tensor([1.0, 0.5]).double())
    assert (problem.diagnostic("step_size"), problem.diagnostic("retries")) == (1, 2)


@pytest.mark.parametrize("radius", [0.1, 1.0])
def test_a_trust_region_holds_the_step(radius):
    problem = by_hand([1.0, -0.01], [1.0, 0.5])
    moved = problem.step(control="trust_region", initial_radius=radius)
    assert float(moved.norm()) == pytest.approx(radius)
    assert problem.diagnostic("trust_radius") == radius


@pytest.mark.parametrize(
    ("fraction", "after"),
    [
        pytest.param(1.0, 0.02, id="agreement"),
        pytest.param(0.5, 0.01, id="fair agreement"),
        pytest.param(0.1, 0.0025, id="disagreement"),
        pytest.param(-1.0, 0.0025, id="ascent"),
    ],
)
def test_the_radius_follows_the_decrease(fraction, after):
    problem = regression()
    optimizer, before = problem.optimizer(control="trust_region", initial_radius=0.01), problem.theta
    optimizer.step(problem.objective(Scaled, fraction=fraction), 1.0)
    assert optimizer.state_dict()["radius"] == pytest.approx(after)
    assert torch.equal(problem.theta, before) == (fraction < 0)


def test_a_step_that_the_schedule_shortens_is_not_at_the_boundary():
    problem = by_hand([1.0, -0.01], [1.0, 0.5])
    optimizer = problem.optimizer(control="trust_region", initial_radius=0.1, learning_rate=0.5)
    optimizer.step(problem.objective(), 1.0)
    assert optimizer.state_dict()["radius"] == 0.1


COMMON = {"krylov_products", "krylov_end", "smallest_curvature", "largest_curvature", "krylov_descends", "step_size"}
COMMON |= {"predicted_change"}
OF_A_TRIAL = {"actual_change", "taylor_error", "retries"}
DIAGNOSTICS = {
    "fixed": COMMON,
    "taylor": COMMON | OF_A_TRIAL,
    "armijo": COMMON | OF_A_TRIAL,
    "trust_region": COMMON | OF_A_TRIAL | {"trust_radius"},
}


@EVERY
def test_a_step_records_its_diagnostics(control):
    problem = Problem()
    problem.step(control=control)
    assert set(problem.result.diagnostics) == DIAGNOSTICS[control]


# Descent, and what a step leaves


# Without damping a fixed step diverges here; a line search needs room for steps that are far too long.
TRAINING = {"fixed": {"damping": 1.0}, "taylor": {}, "armijo": {"retries": 20}, "trust_region": {}}


@EVERY
@pytest.mark.parametrize("penalty", [0.0, 0.01])
def test_it_trains_a_network(control, penalty):
    problem = Problem(penalty=penalty)
    optimizer = problem.optimizer(control=control, **TRAINING[control])
    losses = [float(optimizer.step(problem.objective(), 1.0).loss) for _ in range(30)]
    assert losses[-1] < 0.8 * losses[0]
    assert all(after <= before * (1 + 1e-14) for before, after in pairwise(losses))


def test_that_check_notices_steps_without_control():
    problem = Problem()
    optimizer = problem.optimizer(control="fixed")
    losses = [float(optimizer.step(problem.objective(), 1.0).loss) for _ in range(30)]
    assert max(losses) > 2 * losses[0]


@EVERY
def test_batch_normalisation_and_dropout_are_one_function_for_a_step(control):
    problem = Problem(with_batch_norm_and_dropout)
    problem.step(control=control, learning_rate=1e-3, initial_radius=1e-3)
    assert int(problem.model[1].num_batches_tracked) == 1
    if control != "fixed":
        assert problem.diagnostic("taylor_error") < 1e-2


@EVERY
def test_parameters_stay_leaves_and_are_moved_in_place(control):
    problem = Problem()
    storage = [p.data_ptr() for p in problem.parameters]
    problem.step(control=control)
    assert [p.data_ptr() for p in problem.parameters] == storage
    assert all(p.is_leaf and p.requires_grad and p.grad_fn is None for p in problem.parameters)


def test_frozen_parameters_are_left_alone():
    problem = Problem()
    problem.model[0].requires_grad_(False)
    before = problem.model[0].weight.clone()
    moved = problem.step()
    assert torch.equal(problem.model[0].weight, before)
    assert moved.abs().max() > 0


@EVERY
def test_a_gradient_of_zero_takes_no_step(control):
    problem = regression()
    problem.targets = problem.model(problem.inputs).detach()
    assert torch.equal(problem.step(control=control), torch.zeros(15).double())
    assert problem.diagnostic("krylov_end") == KrylovEnd.ZERO_GRADIENT
    assert problem.diagnostic("step_size") == 0


@pytest.mark.parametrize("value", [math.nan, math.inf, 1e300])
@EVERY
def test_divergence_shows_in_the_loss_and_raises_no_error(control, value):
    problem = regression()
    vector_to_parameters(torch.full_like(problem.theta, value), problem.parameters)
    optimizer = problem.optimizer(control=control)
    losses = [optimizer.step(problem.objective(), 1.0).loss for _ in range(2)]
    assert not torch.isfinite(losses[-1])


# State


@pytest.mark.parametrize(("control", "name"), [("taylor", "length"), ("trust_region", "radius")])
def test_the_state_decides_the_next_step(control, name):
    first, second = Problem(), Problem()
    optimizer = first.optimizer(control=control, initial_step=0.01, initial_radius=0.01)
    optimizer.step(first.objective(), 1.0)
    vector_to_parameters(first.theta, second.parameters)
    resumed = second.optimizer(control=control, initial_step=0.01, initial_radius=0.01)
    assert resumed.state_dict()[name] != optimizer.state_dict()[name]
    resumed.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    for problem, its_own in ((first, optimizer), (second, resumed)):
        its_own.step(problem.objective(), 1.0)
    assert torch.equal(first.theta, second.theta)
    assert resumed.state_dict() == optimizer.state_dict()


# Work: a gradient, three products, the losses of the control; of the samples that products are over besides.

LOSSES = {"fixed": 0, "taylor": 1, "armijo": 1, "trust_region": 1}


@EVERY
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("samples", "gradients", "share"), [(0, 1, 1.0), (5, 2, 0.25)])
def test_a_steps_work_is_counted(control, method, samples, gradients, share):
    problem = Problem()
    problem.step(
        control=control,
        product=method,
        curvature_samples=samples,
        krylov_steps=3,
        residual_tolerance=0.0,
        damping=10.0,  # no direction is disturbing
        initial_radius=100.0,
    )
    batches = 1 + (share if samples else 0) + 3 * share * PRODUCT_PRICES[method] + LOSSES[control] / 3
    assert problem.work.counts() == {
        "gradients": gradients,
        "losses": LOSSES[control],
        "products": 3,
        "gradient_equivalents": pytest.approx(batches),
    }


@pytest.mark.parametrize("retries", [0, 3])
@pytest.mark.parametrize("control", ["taylor", "armijo"])
def test_every_trial_is_paid(control, retries):
    problem = regression()
    objective = problem.objective(Scaled, fraction=-1.0)
    before = problem.work.losses
    problem.optimizer(control=control, retries=retries).step(objective, 1.0)
    assert problem.work.losses - before == 1 + retries


# Settings


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        pytest.param({"product_step": 1e-8}, r"'r_operator', which takes no step; leave it 0", id="step of no use"),
        pytest.param(
            {"control": "trust_region", "end_early": False}, "always ends at negative curvature", id="early end"
        ),
        pytest.param({"grow_below": 0.8}, r"grow_below is 0\.8 and shrink_above 0\.75", id="grow and shrink"),
        pytest.param({"initial_radius": 200.0}, r"initial_radius is 200 and largest_radius 100", id="radius"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(settings, message):
    with pytest.raises(ConfigurationError, match=message):
        newton_krylov.Settings(**settings)


@pytest.mark.parametrize("method", ["complex_step", "finite_difference"])
def test_a_method_that_takes_a_step_is_given_it(method, monkeypatch):
    given = []
    real = newton_krylov.objective_products

    def watching(objective, name, step, samples, *, check):
        given.append((name, step))
        return real(objective, name, step, samples, check=check)

    monkeypatch.setattr(newton_krylov, "objective_products", watching)
    regression().step(product=method, product_step=1e-6)
    assert given == [(method, 1e-6)]
