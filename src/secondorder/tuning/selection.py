"""The choice among trials, by what they reach on the validation split at the end of their budget."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from secondorder.errors import ResultError
from secondorder.statistics.collection import CollectedRuns, collect_runs, expected_runs
from secondorder.tuning.search import Search
from secondorder.tuning.trials import trial_name

CRITERION = "highest validation accuracy at the end of the budget, then lowest validation loss"

_NAMES = ["problem", "run", "trial"]
_OUTCOME = ["status", "validation_accuracy", "validation_loss", "seconds"]


def collect_trials(search: Search, folder: Path, data_manifests: Sequence[Path]) -> pd.DataFrame:
    """Read all trials of a search, refusing any that does not belong.

    Args:
        search: The trials.
        folder: The folder that holds a folder per trial.
        data_manifests: The manifests of all prepared datasets.

    Returns:
        One row per trial: problem, run, trial, each searched setting, status, validation_accuracy, validation_loss and
        seconds. A diverged trial has neither accuracy nor loss.

    Raises:
        ResultError: A trial was made with other settings, code or data, or its files were changed since.
    """
    specifications = search.specifications()
    folders = [folder / trial_name(trial) for trial in range(len(specifications))]
    expected = expected_runs(specifications, folders, data_manifests)
    names = {"problem": search.specification.problem, "run": search.specification.run}
    rows = [
        {**names, "trial": trial, **settings, **outcome(collect_runs([result]))}
        for trial, (settings, result) in enumerate(zip(search.trials, expected, strict=True))
    ]
    return pd.DataFrame(rows)


def outcome(trial: CollectedRuns) -> dict[str, Any]:
    """Return what one trial reached: status, validation_accuracy, validation_loss, seconds.

    The accuracy and loss of a diverged trial are missing: they are no measurement of a trained network.
    """
    status = trial.seeds["status"].item()
    seconds = trial.timing[(trial.timing["scope"] == "evaluation") & (trial.timing["metric"] == "seconds")]
    found: dict[str, Any] = {"status": status, "validation_accuracy": None, "validation_loss": None}
    if status == "finished":
        evaluated = trial.metrics[trial.metrics["scope"] == "evaluation"]
        last = evaluated[evaluated["evaluation"] == evaluated["evaluation"].max()].set_index("metric")["value"]
        found |= {name: float(last[name]) for name in ("validation_accuracy", "validation_loss")}
    return {**found, "seconds": float(seconds["value"].max())}


def mark_chosen(trials: pd.DataFrame, search: Search) -> pd.DataFrame:
    """Return the trials of one search with the columns ``chosen`` and ``at_edge``.

    The chosen trial has the highest validation accuracy; of several, the lowest validation loss; of several still, the
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
    order = ["validation_accuracy", "validation_loss", "trial"]
    best = finished.sort_values(order, ascending=[False, True, True])["trial"].iloc[0]
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
