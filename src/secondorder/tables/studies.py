"""What each run of each study reaches, beside the run that it varies."""

from collections.abc import Mapping

import pandas as pd

from secondorder.presentation import Context, data_note
from secondorder.tables.table import Table

_SPREAD = ("largest_eigenvalue", "loss_gap")


def build(tables: Mapping[str, pd.DataFrame], context: Context) -> Table:
    """Return the table of studies.

    Args:
        tables: The tables ``curves``, ``final_metric``, ``seeds`` and ``sharpness``.
        context: Gives labels, studies and the confidence level.
    """
    losses = tables["curves"][tables["curves"]["metric"] == "training_loss"]
    rows = []
    for problem, finals in tables["final_metric"].groupby("problem", sort=False):
        for study, runs in context.studies.items():
            if not set(runs[1:]) & set(finals["run"]):
                continue
            for run in runs:
                trained = finals[finals["run"] == run]
                if trained.empty:
                    continue
                curve = _rows_of(losses, problem, run)
                finished = len(curve) and not trained["diverged"].iloc[0]
                row = {
                    "problem": problem,
                    "study": context.study_labels[study],
                    "optimizer": run,
                    "seeds": int(trained["seeds"].iloc[0]),
                    "diverged": int(trained["diverged"].iloc[0]),
                    "updates": curve["step"].max(),
                    "training_loss": curve["mean"].iloc[-1] if finished else float("nan"),
                    "metric": trained["metric"].iloc[0],
                    "better": trained["better"].iloc[0],
                    "mean": trained["mean"].iloc[0],
                    "ci_low": trained["ci_low"].iloc[0],
                    "ci_high": trained["ci_high"].iloc[0],
                }
                found = _rows_of(tables["sharpness"], problem, run)
                for name in _SPREAD:
                    row |= {name: found[name].median(), f"{name}_min": found[name].min()}
                    row[f"{name}_max"] = found[name].max()
                rows.append(row)
    caption = (
        "Studies: the run that is varied first, then runs that each change one thing of it, tuned alike unless named "
        "untuned, at equal work. Updates and training loss (without penalty) at the end, means over seeds; the "
        "problem's metric on the test images, with its better direction, mean over seeds and its "
        f"{context.confidence:.0%} percentile-bootstrap confidence interval; largest "
        "eigenvalue of the Hessian at the end and gap between validation and training loss, medians over seeds "
        "(smallest–largest). A run with a diverged seed has no means."
    )
    digits = {"updates": 0, "training_loss": 4, "mean": 2, "ci_low": 2, "ci_high": 2, "loss_gap": 3}
    note = data_note(tables["seeds"])
    return Table(
        pd.DataFrame(rows),
        f"{caption} {note}".strip(),
        digits,
        context.labels,
        _SPREAD,
        significant={"largest_eigenvalue": 3},
    )


def _rows_of(table: pd.DataFrame, problem: object, run: str) -> pd.DataFrame:
    return table[(table["problem"] == problem) & (table["run"] == run)]
