"""Paths on analytic functions: where they go, when they end, what they cost, and which of several is the best."""

import json
from functools import partial

import numpy as np
import pytest
import torch

from secondorder import optim
from secondorder.errors import CapabilityError
from secondorder.landscapes import comparison, trajectories
from secondorder.landscapes.comparison import Contestant, best_trial, compare, escape_work
from secondorder.landscapes.functions import quadratic, rosenbrock, strict_saddle
from secondorder.landscapes.trajectories import describe, follow

FUNCTIONS = {"quadratic": quadratic(100, 3), "Rosenbrock": rosenbrock(), "strict saddle": strict_saddle(0.1)}


def builder(name, **settings):
    module = optim.load(name)
    return partial(module.build, settings=module.Settings(**settings))


def contestant(run="sgd", optimizer="sgd", *trials):
    return Contestant(run, optimizer, trials)


@pytest.mark.parametrize("name", optim.available())
@pytest.mark.parametrize("function", [pytest.param(function, id=name) for name, function in FUNCTIONS.items()])
def test_every_optimizer_moves_within_a_few_steps_and_is_charged_or_says_why_it_cannot(name, function):
    try:
        path = follow(function, builder(name), budget=50, tolerance=1e-12)
    except CapabilityError:
        return
    assert not torch.equal(path.points[0], path.points[-1])
    assert path.work[1] >= 1


def test_gradient_descent_goes_where_its_closed_form_says():
    function = quadratic(100, 3)
    path = follow(function, builder("sgd", learning_rate=0.5), budget=20, tolerance=1e-12)
    step = torch.eye(3, dtype=torch.float64) - 0.5 * function.hessian(function.start)
    expected = [function.minimisers[0] + torch.linalg.matrix_power(step, k) @ (function.start - 1) for k in range(21)]
    torch.testing.assert_close(path.points, torch.stack(expected), rtol=1e-12, atol=1e-13)
    assert path.work.tolist() == list(range(21))
    assert path.status == "missed"


def test_learning_rates_are_in_units_of_the_largest_curvature_at_the_start():
    function = rosenbrock()
    path = follow(function, builder("sgd", learning_rate=1.0), budget=1, tolerance=1e-12)
    moved = path.points[1] - path.points[0]
    torch.testing.assert_close(moved, -function.gradient(function.start) / function.curvature, rtol=1e-10, atol=0)


@pytest.mark.parametrize(
    ("learning_rate", "status"),
    [
        pytest.param(0.5, "reached", id="half"),
        pytest.param(0.01, "missed", id="tiny"),
        pytest.param(1e5, "diverged", id="long"),
    ],
)
def test_path_says_how_it_ended(learning_rate, status):
    path = follow(strict_saddle(0.1), builder("sgd", learning_rate=learning_rate), budget=60, tolerance=1e-6)
    assert path.status == status


def test_description_agrees_with_numbers_taken_by_hand():
    function = strict_saddle(0.5)
    table = describe(function, follow(function, builder("sgd", learning_rate=0.1), budget=2, tolerance=1e-6))
    first = table.iloc[0]
    assert first[["step", "gradient_equivalents", "x", "y"]].tolist() == [0, 0, 1, 0.5]
    assert first["gap"] == pytest.approx(1 / 2 + 0.75**2 / 4)
    assert first["distance"] == pytest.approx((1 + 0.25) ** 0.5)
    assert first["gradient_norm"] == pytest.approx((1 + 0.375**2) ** 0.5)
    assert first["smallest_eigenvalue"] == pytest.approx(3 / 4 - 1)


def test_random_numbers_are_left_as_they_were():
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    follow(rosenbrock(), builder("adam"), budget=3, tolerance=1e-6)
    assert torch.equal(torch.rand(1), expected)


def test_newton_does_not_feel_the_condition_and_gradient_descent_does():
    newton = builder("exact_newton", variant="joint_gauss_newton", damping=1e-9)
    for condition in (1e2, 1e6):
        path = follow(quadratic(condition, 3), newton, budget=50, tolerance=1e-6)
        assert path.status == "reached"
        assert len(path.points) <= 4
        descent = follow(quadratic(condition, 3), builder("sgd", learning_rate=1.0), budget=50, tolerance=1e-6)
        assert descent.status == "missed"


def test_closer_starts_take_gradient_descent_longer_to_escape():
    works = []
    for distance in (1e-2, 1e-4, 1e-6):
        function = strict_saddle(distance)
        path = follow(function, builder("sgd", learning_rate=1.0), budget=100, tolerance=1e-6)
        works.append(escape_work(describe(function, path)))
    # y doubles with each step, so that a distance a hundred times smaller takes log2(100) = 6.6 steps more.
    assert np.diff(works) == pytest.approx([6.6, 6.6], abs=1)


def test_a_path_on_the_stable_manifold_never_escapes():
    function = strict_saddle(0)
    path = follow(function, builder("sgd", learning_rate=0.5), budget=100, tolerance=1e-6)
    assert np.isnan(escape_work(describe(function, path)))


@pytest.mark.parametrize(
    ("rates", "best"),
    [
        pytest.param([0.01, 0.5, 0.3], 1, id="reached with the least work"),
        pytest.param([0.001, 0.01, 0.002], 1, id="none reached: the smallest gap"),
        pytest.param([1e5, 1e-9], 1, id="a diverged one is the last"),
        pytest.param([0.5, 0.5], 0, id="of equal ones the first"),
    ],
)
def test_best_trial(rates, best):
    trials = [{"learning_rate": rate} for rate in rates]
    assert best_trial(strict_saddle(0.1), contestant("sgd", "sgd", *trials), 60, 1e-6)[0] == best


def test_trials_that_cannot_win_are_given_up(monkeypatch):
    budgets = []

    def spied(function, build, budget, tolerance):
        budgets.append(budget)
        return trajectories.follow(function, build, budget, tolerance)

    monkeypatch.setattr(comparison, "follow", spied)
    _, path = best_trial(
        strict_saddle(0.1), contestant("sgd", "sgd", {"learning_rate": 0.5}, {"learning_rate": 0.01}), 60, 1e-6
    )
    assert budgets == [60, float(path.work[-1])]


def test_comparison_has_a_row_for_every_run_and_a_path_for_those_that_do_not_refuse(monkeypatch):
    def refuse(function, build, budget, tolerance):
        raise CapabilityError("module 'point': has too few outputs;\nuse more")

    sgd = contestant("sgd", "sgd", {"learning_rate": 0.1}, {"learning_rate": 0.5})
    functions = {
        "saddle": ("strict_saddle", {"distance": 0.1}),
        "bowl": ("quadratic", {"condition": 10, "dimension": 2}),
    }
    paths, outcomes = compare(functions, [sgd], budget=10, tolerance=1e-12)
    assert outcomes[["function", "run", "status", "trials"]].to_numpy().tolist() == [
        ["saddle", "sgd", "missed", 2],
        ["bowl", "sgd", "missed", 2],
    ]
    assert json.loads(outcomes["settings"].iloc[0]) == {"learning_rate": 0.5}
    assert outcomes["condition"].tolist() == pytest.approx([np.nan, 10], nan_ok=True)
    assert paths.groupby("function", sort=False)["step"].max().tolist() == [10, 10]
    monkeypatch.setattr(comparison, "follow", refuse)
    paths, outcomes = compare(functions, [sgd], budget=10, tolerance=1e-12)
    assert outcomes["status"].tolist() == ["refused", "refused"]
    assert outcomes["reason"].iloc[0] == "module 'point': has too few outputs; use more"
    assert len(paths) == 0
