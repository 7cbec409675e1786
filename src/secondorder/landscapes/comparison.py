"""Every run on every analytic function: equally many trials of each, and the path of the best."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import pandas as pd

from secondorder import optim
from secondorder.errors import CapabilityError, InputError
from secondorder.landscapes.functions import KINDS, AnalyticFunction
from secondorder.landscapes.trajectories import PATH_COLUMNS, Trajectory, describe, follow
from secondorder.settings import settings_from


@dataclass(frozen=True)
class Contestant:
    """A run with its trials.

    Attributes:
        run: Its name.
        optimizer: Module under ``secondorder.optim``.
        trials: All settings of each trial.
    """

    run: str
    optimizer: str
    trials: Sequence[Mapping[str, Any]]


def compare(
    functions: Mapping[str, tuple[str, Mapping[str, float]]],
    contestants: Sequence[Contestant],
    budget: float,
    tolerance: float,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the path of the best trial of each run on each function, and what came of it.

    The best trial reaches the tolerance with the least work. Where none does, it has the smallest gap at its end; of
    several, the first.

    Args:
        functions: Kind and arguments by name.
        contestants: The runs.
        budget: Gradient-equivalents of each trial.
        tolerance: The share of the first gap at which a trial ends.

    Returns:
        Two tables. One has the columns function and run and those of
        :func:`~secondorder.landscapes.trajectories.describe`. The other has one row per function and run: function,
        kind, dimension, condition, start_distance (each NaN where the kind has none), run, trials (how many), status
        (that of the trajectory, or ``refused``), reason (of a refusal; empty otherwise), settings (those of the best
        trial that differ between trials, as JSON), steps, gradient_equivalents, gap and distance (at its end), and
        escape: the gradient-equivalents until the gap is below half of that at the saddle (NaN where it never is, or
        there is no saddle).
    """
    paths, outcomes = [], []
    for name, (kind, arguments) in functions.items():
        function = KINDS[kind](**arguments)
        about = {
            "function": name,
            "kind": kind,
            "dimension": len(function.start),
            "condition": arguments.get("condition", float("nan")),
            "start_distance": arguments.get("distance", float("nan")),
        }
        for contestant in contestants:
            row = {**about, "run": contestant.run, "trials": len(contestant.trials), "reason": ""}
            try:
                best, trajectory = best_trial(function, contestant, budget, tolerance)
            except CapabilityError as error:
                outcomes.append({**row, "status": "refused", "reason": " ".join(str(error).split())})
                continue
            path = describe(function, trajectory)
            paths.append(path.assign(function=name, run=contestant.run))
            last = path.iloc[-1]
            outcomes.append(
                {
                    **row,
                    "status": trajectory.status,
                    "settings": json.dumps(_searched(contestant.trials, best), sort_keys=True),
                    "steps": last["step"],
                    "gradient_equivalents": last["gradient_equivalents"],
                    "gap": last["gap"],
                    "distance": last["distance"],
                    "escape": escape_work(path) if kind == "strict_saddle" else float("nan"),
                }
            )
    front = ["function", "run"]
    trajectories = pd.concat(paths, ignore_index=True) if paths else pd.DataFrame(columns=[*front, *PATH_COLUMNS])
    return trajectories[[*front, *PATH_COLUMNS]], pd.DataFrame(outcomes)


def best_trial(
    function: AnalyticFunction, contestant: Contestant, budget: float, tolerance: float
) -> tuple[int, Trajectory]:
    """Return the number of a run's best trial and its path; see :func:`compare`.

    A trial is given up where an earlier one had reached the tolerance already, because it cannot become the best.

    Raises:
        CapabilityError: The optimizer cannot treat the function; says why.
    """
    module = optim.load(contestant.optimizer)
    best, chosen, merit = 0, None, (math.inf, math.inf)
    for number, settings in enumerate(contestant.trials):
        build = partial(module.build, settings=settings_from(module.Settings, settings))
        affordable = float(chosen.work[-1]) if chosen and chosen.status == "reached" else budget
        trajectory = follow(function, build, affordable, tolerance)
        if chosen is None or merit_of(function, trajectory) < merit:
            best, chosen, merit = number, trajectory, merit_of(function, trajectory)
    if chosen is None:
        raise InputError(f"the run {contestant.run!r} has no trials; give at least one")
    return best, chosen


def merit_of(function: AnalyticFunction, trajectory: Trajectory) -> tuple[float, float]:
    """Return what orders trials: the smallest is the best."""
    if trajectory.status == "reached":
        return 0, float(trajectory.work[-1])
    return (1, float(function.value(trajectory.points[-1]))) if trajectory.status == "missed" else (2, 0)


def escape_work(path: pd.DataFrame) -> float:
    """Return the work until the gap is below half of what it is at the strict saddle, 1/4; NaN where it never is.

    Args:
        path: From :func:`~secondorder.landscapes.trajectories.describe`.
    """
    below = path.loc[path["gap"] < 0.25 / 2, "gradient_equivalents"]
    return float(below.iloc[0]) if len(below) else float("nan")


def _searched(trials: Sequence[Mapping[str, Any]], best: int) -> dict[str, Any]:
    return {name: value for name, value in trials[best].items() if any(trial[name] != value for trial in trials)}
