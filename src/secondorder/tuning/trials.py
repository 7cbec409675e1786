"""One tuning job: all trials of one run on one problem, each trained as any run is, into a folder of its own."""

from pathlib import Path

from secondorder.data.dataset import Dataset
from secondorder.training.progress import Listener, Part
from secondorder.training.run import train_run
from secondorder.tuning.search import Search


def trial_name(trial: int) -> str:
    """Return the name of a trial, which is that of its folder."""
    return f"trial_{trial}"


def train_trials(search: Search, dataset: Dataset, output: Path, checkpoints: Path, progress: Listener) -> None:
    """Train every trial of a search and write its metrics, timing and manifest.

    The same call after an interruption goes on where it was, as :func:`~secondorder.training.run.train_run` does.

    Args:
        search: The trials.
        dataset: The prepared dataset that they name.
        output: Folder for a folder per trial.
        checkpoints: Folder for a folder of checkpoints per trial.
        progress: Takes lines and shares of the budget of all trials.
    """
    for trial, specification in enumerate(search.specifications()):
        name = trial_name(trial)
        part = Part(progress, name.replace("_", " "), trial, len(search.trials))
        train_run(specification, dataset, output / name, checkpoints / name, part)
