"""The path of one optimizer on one analytic function, for a budget of gradient-equivalents."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import pandas as pd
import torch

from secondorder.landscapes.functions import AnalyticFunction
from secondorder.landscapes.networks import least_squares
from secondorder.optim.protocol import Optimizer
from secondorder.training.work import Work

Status = Literal["reached", "missed", "diverged"]
PATH_COLUMNS = (
    "step",
    "gradient_equivalents",
    "gap",
    "distance",
    "gradient_norm",
    "smallest_eigenvalue",
    "x",
    "y",
)
"""What is known of every point of a path."""


@dataclass(frozen=True)
class Trajectory:
    """Where an optimizer went.

    Attributes:
        status: ``reached``: the gap to the minimum became small enough; ``missed``: the budget ended before;
            ``diverged``: f stopped being finite.
        points: θ at the start and after each step, shape (steps + 1, d).
        work: Gradient-equivalents spent until then, shape (steps + 1,).
    """

    status: Status
    points: torch.Tensor
    work: torch.Tensor


def follow(
    function: AnalyticFunction,
    build_optimizer: Callable[[list[torch.nn.Parameter]], Optimizer],
    budget: float,
    tolerance: float,
    seed: int = 0,
) -> Trajectory:
    """Run an optimizer from the function's start until the gap to the minimum is small or the budget spent.

    The optimizer sees f divided by its largest curvature at the start, so that learning rates and dampings of one range
    mean the same on every function. Its learning rate is not scheduled, because nothing here is random but what
    it draws itself. The random number generator is left as it was.

    Args:
        function: The function.
        build_optimizer: Builds the optimizer over the parameters.
        budget: Gradient-equivalents; the step that reaches it is the last.
        tolerance: The share of the first gap that is small enough.
        seed: Seed of what the optimizer draws.

    Raises:
        CapabilityError: The optimizer cannot treat the function; says why.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        training = least_squares(function, function.curvature)
        optimizer = build_optimizer(list(training.model.parameters()))
        work = Work(len(training.inputs))
        points, spent = [training.point], [0.0]
        small = tolerance * float(function.value(points[0]))
        status: Status = "missed"
        while status == "missed" and work.gradient_equivalents < budget:
            optimizer.step(training.objective(work), 1.0)
            points.append(training.point)
            spent.append(work.gradient_equivalents)
            gap = float(function.value(points[-1]))
            if gap <= small:
                status = "reached"
            elif not math.isfinite(gap):
                status = "diverged"
    return Trajectory(status, torch.stack(points), torch.tensor(spent, dtype=torch.float64))


def describe(function: AnalyticFunction, trajectory: Trajectory) -> pd.DataFrame:
    """Return one row per point of a trajectory, with what the closed forms say of it.

    Returns:
        The columns :data:`PATH_COLUMNS`: gap is f, whose minimum is 0, distance that to the nearest minimiser,
        smallest_eigenvalue of ∇²f, x and y the first two coordinates. A point where f is not finite has no row.
    """
    finite = function.value(trajectory.points).isfinite()
    points = trajectory.points[finite]
    to_minimisers = (points[:, None] - function.minimisers).norm(dim=-1)
    columns = (
        finite.nonzero().flatten(),
        trajectory.work[finite],
        function.value(points),
        to_minimisers.amin(dim=1),
        function.gradient(points).norm(dim=-1),
        torch.linalg.eigvalsh(function.hessian(points))[:, 0],
        points[:, 0],
        points[:, 1],
    )
    return pd.DataFrame({name: column.numpy() for name, column in zip(PATH_COLUMNS, columns, strict=True)})
