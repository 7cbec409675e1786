"""How sharp the minima are that each run finds, and how it generalises."""

from collections.abc import Mapping

import pandas as pd

from secondorder.presentation import Context, data_note
from secondorder.tables.table import Table

_MEASURED = ("largest_eigenvalue", "trace", "loss_gap", "metric_gap")


def build(tables: Mapping[str, pd.DataFrame], context: Context) -> Table:
    """Return the table of sharpness.

    Args:
        tables: The table ``sharpness``.
        context: Gives labels.
    """
    networks = context.of_main_runs(tables["sharpness"])
    metrics = networks["problem"].map(context.metric)
    networks = networks.assign(metric_gap=networks["metric_gap"] * [metric.factor for metric in metrics])
    rows = []
    for (problem, run), group in networks.groupby(["problem", "run"], sort=False):
        finished = group[group["status"] == "finished"]
        row = {
            "problem": problem,
            "metric": context.metric(str(problem)).title,
            "optimizer": run,
            "seeds": len(group),
            "diverged": int((group["status"] == "diverged").sum()),
            "unconverged": int((finished["converged"] == False).sum()),  # noqa: E712
        }
        for name in _MEASURED:
            row |= {name: finished[name].median(), f"{name}_min": finished[name].min()}
            row[f"{name}_max"] = finished[name].max()
        rows.append({**row, "trace_method": ", ".join(sorted(finished["trace_method"].dropna().unique()))})
    images = int(networks["images"].max())
    caption = (
        f"The Hessian of the mean training loss (without penalty) over {images} training images at the end of "
        "training: its largest eigenvalue and its trace, and the gaps between validation and training loss and "
        "between training and validation metric (by how much it is better in training). Medians over seeds "
        "(smallest–largest). "
        "Unconverged: seeds whose eigenvalue iteration did not converge; they and diverged seeds are in no median of "
        "what they lack."
    )
    digits = {"loss_gap": 3, "metric_gap": 2}
    significant = {"largest_eigenvalue": 3, "trace": 3}
    note = data_note(networks)
    return Table(
        pd.DataFrame(rows), f"{caption} {note}".strip(), digits, context.labels, _MEASURED, significant=significant
    )
