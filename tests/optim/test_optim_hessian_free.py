"""A step of Hessian-free optimization is a dense solve's, and it comes to the minimum that another library finds."""

import math

import pytest
import torch
import torchmin
from torch import nn
from torch.nn import functional
from torch.nn.utils import parameters_to_vector, vector_to_parameters

from secondorder.optim import hessian_free, newton_krylov
from secondorder.optim.objective_products import objective_gauss_newton
from secondorder.training.objective import Objective
from secondorder.training.work import Work

SAMPLES, PENALTY = 20, 0.1
# Enough products for the whole solution; every iterate but the last is far shorter.
WHOLE = {"krylov_steps": 200, "relative_progress": 1e-16, "start_decay": 0.0}


def perceptron():
    return nn.Sequential(nn.Linear(4, 3), nn.Tanh(), nn.Linear(3, 3))


def regression():
    return nn.Linear(4, 3)


def with_batch_norm_and_dropout():
    return nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Tanh(), nn.Dropout(0.3), nn.Linear(8, 3))


def squared_error(outputs, targets):
    return functional.mse_loss(outputs, functional.one_hot(targets, 3).to(outputs.dtype))


class Problem:
    """A network with a batch, and the dense derivatives of its objective."""

    def __init__(self, network=perceptron, loss=functional.cross_entropy, penalty=PENALTY):
        torch.manual_seed(0)
        self.model, self.loss, self.penalty = network().double(), loss, penalty
        self.inputs, self.targets = torch.randn(SAMPLES, 4).double(), torch.arange(SAMPLES) % 3
        self.parameters = list(self.model.parameters())
        self.work = Work(SAMPLES)

    @property
    def theta(self):
        return parameters_to_vector(self.parameters).detach().clone()

    def objective(self):
        return Objective(self.model, self.loss, self.inputs, self.targets, self.work, self.penalty)

    def optimizer(self, **settings):
        return hessian_free.build(self.parameters, hessian_free.Settings(**settings))

    def step(self, optimizer=None, factor=1.0, **settings):
        """How far one step moves the parameters, with its diagnostics."""
        before = self.theta
        result = (optimizer or self.optimizer(**settings)).step(self.objective(), factor)
        return self.theta - before, result.diagnostics

    def derivatives(self):
        """Gradient and Gauss-Newton matrix of the objective."""
        outputs = self.model(self.inputs)
        rows = [torch.autograd.grad(z, self.parameters, retain_graph=True) for z in outputs.flatten()]
        jacobian = torch.stack([parameters_to_vector(row) for row in rows])
        z = outputs.detach().requires_grad_()
        slope = torch.autograd.grad(self.loss(z, self.targets), z)[0].flatten()
        curvature = torch.autograd.functional.hessian(lambda z: self.loss(z, self.targets), z.detach())
        weights = self.penalty * torch.cat([torch.full_like(p.detach().flatten(), p.ndim > 1) for p in self.parameters])
        matrix = jacobian.T @ curvature.view(len(slope), -1) @ jacobian + weights.diag()
        return jacobian.T @ slope + weights * self.theta, matrix


def damped_solution(problem, damping):
    gradient, matrix = problem.derivatives()
    return -torch.linalg.solve(matrix + damping * torch.eye(len(gradient)).double(), gradient)


# One step


@pytest.mark.parametrize("passes", [0, 2], ids=["plain", "preconditioned"])
@pytest.mark.parametrize("damping", [0.01, 1.0])
@pytest.mark.parametrize(
    ("network", "loss"),
    [
        pytest.param(regression, squared_error, id="quadratic"),
        pytest.param(perceptron, functional.cross_entropy, id="perceptron"),
    ],
)
def test_the_solution_is_that_of_a_dense_solve(network, loss, damping, passes):
    problem = Problem(network, loss)
    optimizer = problem.optimizer(damping=damping, preconditioner_passes=passes, **WHOLE)
    expected = damped_solution(problem, damping)
    problem.step(optimizer)
    torch.testing.assert_close(optimizer.state_dict()["solution"], expected, rtol=1e-8, atol=1e-9)


def test_a_step_on_a_quadratic_goes_all_the_way_and_is_predicted():
    problem = Problem(regression, squared_error)
    expected = damped_solution(problem, 0.01)
    moved, numbers = problem.step(damping=0.01, **WHOLE)
    torch.testing.assert_close(moved, expected, rtol=1e-8, atol=1e-9)
    assert numbers["reduction_ratio"] == pytest.approx(1, rel=1e-8)
    assert numbers["step_size"] == 1


def test_that_comparison_notices_another_damping():
    problem = Problem(regression, squared_error)
    expected = damped_solution(problem, 0.011)
    moved, _ = problem.step(damping=0.01, **WHOLE)
    assert (moved - expected).norm() > 1e-3 * expected.norm()


def test_the_step_goes_back_to_an_iterate_of_lower_loss():
    problem = Problem(regression, penalty=1e-3)
    with torch.no_grad():
        problem.model.weight.mul_(4)
    before, theta = float(problem.objective().loss()), problem.theta
    optimizer = problem.optimizer(damping=1e-4, krylov_steps=4)
    _, numbers = problem.step(optimizer)
    reached = float(problem.objective().loss())
    assert (numbers["conjugate_gradient_iterate"], numbers["conjugate_gradient_products"]) == (2, 4)
    assert reached - before == pytest.approx(numbers["actual_change"], rel=1e-9)
    vector_to_parameters(theta + optimizer.state_dict()["solution"], problem.parameters)
    assert reached < float(problem.objective().loss())


def test_the_damping_grows_where_the_step_that_was_solved_for_is_too_long():
    problem = Problem(penalty=1e-3)
    vector_to_parameters(10 * problem.theta, problem.parameters)
    optimizer = problem.optimizer(damping=1e-4, krylov_steps=4, preconditioner_passes=0)
    _, numbers = problem.step(optimizer)
    assert 0 < numbers["step_size"] < 1
    assert numbers["reduction_ratio"] < 0.25
    assert optimizer.state_dict()["damping"] == pytest.approx(1.5e-4)


@pytest.mark.parametrize(("learning_rate", "factor"), [(0.5, 1.0), (1.0, 0.5)])
def test_learning_rate_and_schedule_shorten_the_step(learning_rate, factor):
    problem = Problem(regression, squared_error)
    expected = damped_solution(problem, 1.0) / 2
    moved, _ = problem.step(learning_rate=learning_rate, factor=factor, **WHOLE)
    torch.testing.assert_close(moved, expected, rtol=1e-8, atol=1e-9)


def test_a_factor_of_zero_takes_no_step():
    moved, _ = Problem().step(factor=0.0)
    assert not moved.any()


def test_batch_normalisation_and_dropout_are_one_function_for_a_step():
    problem = Problem(with_batch_norm_and_dropout)
    _, numbers = problem.step(learning_rate=1e-4)
    assert int(problem.model[1].num_batches_tracked) == 1
    # The change along so short a step is its slope: other masks would change the loss by far more.
    assert numbers["actual_change"] == pytest.approx(numbers["predicted_change"], rel=1e-2)


def test_frozen_parameters_are_left_alone():
    problem = Problem()
    problem.model[0].requires_grad_(False)
    before = problem.model[0].weight.clone()
    optimizer = problem.optimizer()
    optimizer.step(problem.objective(), 1.0)
    assert torch.equal(problem.model[0].weight, before)


def test_a_gradient_of_zero_takes_no_step():
    problem = Problem(regression, lambda outputs, _: (outputs - outputs.detach()).square().sum(), penalty=0.0)
    moved, numbers = problem.step()
    assert (numbers["step_size"], bool(moved.any())) == (0.0, False)


@pytest.mark.parametrize("value", [math.nan, math.inf, 1e300])
def test_divergence_shows_in_the_loss_and_raises_no_error(value):
    problem = Problem(regression, squared_error)
    vector_to_parameters(torch.full_like(problem.theta, value), problem.parameters)
    optimizer = problem.optimizer()
    losses = [optimizer.step(problem.objective(), 1.0).loss for _ in range(2)]
    assert not torch.isfinite(losses[-1])


# State: the damping and the solution are carried over, and used


def test_a_solution_is_where_the_next_iteration_starts():
    problem = Problem(regression, squared_error)
    optimizer = problem.optimizer(damping=1.0, krylov_steps=1, start_decay=0.5, preconditioner_passes=0)
    start = torch.linspace(-1, 1, 15).double()
    optimizer.load_state_dict({"damping": 1.0, "solution": start})
    gradient, matrix = problem.derivatives()
    matrix += torch.eye(15).double()
    residual = -gradient - matrix @ (start / 2)
    expected = start / 2 + (residual @ residual) / (residual @ matrix @ residual) * residual
    problem.step(optimizer)
    torch.testing.assert_close(optimizer.state_dict()["solution"], expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("damping", [0.05, 5.0])
def test_the_damping_that_was_carried_over_is_the_one_that_is_solved_with(damping):
    problem = Problem(regression, squared_error)
    expected = damped_solution(problem, damping)
    optimizer = problem.optimizer(damping=1.0, **WHOLE)
    optimizer.load_state_dict({"damping": damping, "solution": None})
    moved, numbers = problem.step(optimizer)
    torch.testing.assert_close(moved, expected, rtol=1e-8, atol=1e-9)
    assert numbers["damping"] == damping


def test_the_damping_falls_where_the_model_is_right_until_it_is_below_its_floor():
    problem = Problem(regression, squared_error)
    optimizer = problem.optimizer(damping=0.9, damping_floor=0.5, **WHOLE)
    dampings = [problem.step(optimizer)[1]["damping"] for _ in range(5)]
    assert dampings == pytest.approx([0.9, 0.6, 0.4, 0.4, 0.4])


# Work


@pytest.mark.parametrize("passes", [0, 1, 3])
def test_a_steps_work_is_counted(passes):
    problem = Problem(regression, squared_error)
    optimizer = problem.optimizer(krylov_steps=3, preconditioner_passes=passes, relative_progress=0.0)
    problem.step(optimizer)
    # Of the iterates 2 and 3 both are measured, or the last alone; each is a third of a gradient.
    assert problem.work.counts() == {
        "gradients": 1,
        "losses": 2,
        "products": 3,
        "gradient_equivalents": pytest.approx(1 + 3 * 4 / 3 + passes * 2 / 3 + 2 / 3),
    }
    problem.step(optimizer)
    assert problem.work.products == 3 + 1 + 3


def test_products_over_few_samples_cost_their_share_and_the_gradient_is_of_all():
    problem = Problem()
    few = Problem()
    few.inputs, few.targets = few.inputs[-5:], few.targets[-5:]
    around = objective_gauss_newton(problem.objective(), samples=5)
    torch.testing.assert_close(around.gradient, problem.derivatives()[0])
    torch.testing.assert_close(around(around.gradient), few.derivatives()[1] @ around.gradient)
    around.squared_gradients(1)
    assert problem.work.gradient_equivalents == pytest.approx(1 + (1 + 4 / 3 + 2 / 3) / 4)


def test_the_objectives_products_and_squares_have_the_penalty_in_them():
    problem = Problem()
    gradient, matrix = problem.derivatives()
    around = objective_gauss_newton(problem.objective())
    torch.testing.assert_close(around.loss, problem.objective().loss())
    torch.testing.assert_close(around.gradient, gradient)
    torch.testing.assert_close(around(gradient), matrix @ gradient)
    bare = Problem(penalty=0.0)
    torch.manual_seed(1)
    with_penalty = around.squared_gradients(2)
    torch.manual_seed(1)
    difference = with_penalty - objective_gauss_newton(bare.objective()).squared_gradients(2)
    weights = torch.cat([torch.full_like(p.detach().flatten(), PENALTY * (p.ndim > 1)) for p in problem.parameters])
    torch.testing.assert_close(difference, weights)


# The minimum


def minimum(problem, method):
    """The minimiser of the objective by pytorch-minimize."""
    shapes = [p.shape for p in problem.parameters]

    def value(theta):
        pieces = [piece.view(s) for piece, s in zip(theta.split([s.numel() for s in shapes]), shapes, strict=True)]
        loss = problem.loss(functional.linear(problem.inputs, *pieces), problem.targets)
        return loss + problem.penalty / 2 * pieces[0].square().sum()

    found = torchmin.minimize(value, problem.theta, method=method, tol=1e-12)
    return found.x


NEWTON_CG = {"control": "armijo", "krylov_steps": 30, "product": "r_operator"}
OURS = {
    "hessian_free": (hessian_free, {"damping": 0.01, "krylov_steps": 30}),
    "newton_cg": (newton_krylov, NEWTON_CG),
    "newton_krylov": (newton_krylov, {"krylov_steps": 30}),
    "newton_krylov in a trust region": (newton_krylov, {"control": "trust_region", "krylov_steps": 30}),
}


@pytest.mark.parametrize("method", ["newton-cg", "newton-exact", "trust-ncg"])
@pytest.mark.parametrize("name", OURS)
def test_it_finds_the_minimum_of_a_convex_problem(name, method):
    module, settings = OURS[name]
    problem = Problem(regression, functional.cross_entropy)
    expected = minimum(problem, method)
    # The minimum is one point but for what is added to all biases, which changes nothing.
    expected[12:] -= expected[12:].mean()
    optimizer = module.build(problem.parameters, module.Settings(**settings))
    for _ in range(25):
        optimizer.step(problem.objective(), 1.0)
    found = problem.theta
    found[12:] -= found[12:].mean()
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_that_comparison_notices_another_penalty():
    far = minimum(Problem(regression, penalty=1.01 * PENALTY), "newton-exact")
    assert (far - minimum(Problem(regression), "newton-exact")).abs().max() > 1e-3
