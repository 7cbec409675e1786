"""The choice among trials, by what they reach on the validation split at the end of their budget."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from secondorder.errors import ResultError
from secondorder.metric import MetricDescription
from secondorder.statistics.collection import CollectedRuns, collect_runs, expected_runs
from secondorder.training.networks import build_problem
from secondorder.tuning.search import Search
from secondorder.tuning.trials import trial_name

CRITERION = "best validation metric at the end of the budget, then lowest validation loss"

_NAMES = ["problem", "run", "trial"]
_OUTCOME = ["status", "metric", "validation_metric", "validation_loss", "seconds"]


def collect_trials(search: Search, folder: Path, data_manifests: Sequence[Path]) -> pd.DataFrame:
    """Read all trials of a search, refusing any that does not belong.

    Args:
        search: The trials.
        folder: The folder that holds a folder per trial.
        data_manifests: The manifests of all prepared datasets.

    Returns:
        One row per trial: problem, run, trial, each searched setting, status, metric (its name), validation_metric,
        validation_loss and seconds. A diverged trial has neither of the two.

    Raises:
        ResultError: A trial was made with other settings, code or data, or its files were changed since.
    """
    specifications = search.specifications()
    folders = [folder / trial_name(trial) for trial in range(len(specifications))]
    expected = expected_runs(specifications, folders, data_manifests)
    metric = build_problem(search.specification).metric
    names = {"problem": search.specification.problem, "run": search.specification.run}
    rows = [
        {**names, "trial": trial, **settings, **outcome(collect_runs([result]), metric)}
        for trial, (settings, result) in enumerate(zip(search.trials, expected, strict=True))
    ]
    return pd.DataFrame(rows)


def outcome(trial: CollectedRuns, metric: MetricDescription) -> dict[str, Any]:
    """Return what one trial reached: status, metric, validation_metric, validation_loss, seconds.

    The metric and the loss of a diverged trial are missing: they are no measurement of a trained network.
    """
    status = trial.seeds["status"].item()
    seconds = trial.timing[(trial.timing["scope"] == "evaluation") & (trial.timing["metric"] == "seconds")]
    found: dict[str, Any] = {"status": status, "metric": metric.name}
    found |= {"validation_metric": None, "validation_loss": None}
    if status == "finished":
        evaluated = trial.metrics[trial.metrics["scope"] == "evaluation"]
        last = evaluated[evaluated["evaluation"] == evaluated["evaluation"].max()].set_index("metric")["value"]
        found["validation_metric"] = float(last[f"validation_{metric.name}"])
        found["validation_loss"] = float(last["validation_loss"])
    return {**found, "seconds": float(seconds["value"].max())}


def mark_chosen(trials: pd.DataFrame, search: Search) -> pd.DataFrame:
    """Return the trials of one search with the columns ``chosen`` and ``at_edge``.

    The chosen trial has the best validation metric; of several, the lowest validation loss; of several still, the
    lowest number. ``at_edge`` names those of its settings that lie within 5 % of an end of their range, where a better
    value may lie outside; it is empty for all other trials.

    Args:
        trials: From :func:`collect_trials`.
        search: The search.

    Raises:
        ResultError: All trials diverged.
    """
    finished = trials[trials["status"] == "finished"]
    if finished.empty:
        ranges = ", ".join(f"{name} from {r.low:g} to {r.high:g}" for name, r in search.ranges.items())
        raise ResultError(
            f"{search.specification.run} on {search.specification.problem}: all {len(trials)} trials diverged with "
            f"{ranges}; give other ranges under runs.{search.specification.run}.search"
        )
    order = ["validation_metric", "validation_loss", "trial"]
    lower_is_better = not build_problem(search.specification).metric.higher_is_better
    best = finished.sort_values(order, ascending=[lower_is_better, True, True])["trial"].iloc[0]
    settings = search.trials[best]
    edges = " ".join(name for name, searched in search.ranges.items() if searched.at_edge(settings[name]))
    chosen = trials["trial"] == best
    return trials.assign(chosen=chosen, at_edge=chosen.map({True: edges, False: ""}))


def combine(tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Return the trials of several searches as one table; a setting that a run does not search is missing there."""
    combined = pd.concat(tables, ignore_index=True)
    ends = {*_NAMES, *_OUTCOME, "chosen", "at_edge"}
    settings = [name for name in combined.columns if name not in ends]
    return combined[[*_NAMES, *settings, *_OUTCOME, "chosen", "at_edge"]]
