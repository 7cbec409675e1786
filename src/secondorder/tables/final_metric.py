"""Each problem's metric on the test images, of every run."""

from collections.abc import Mapping

import pandas as pd

from secondorder.presentation import Context, data_note
from secondorder.tables.table import Table


def build(tables: Mapping[str, pd.DataFrame], context: Context) -> Table:
    """Return the table of test metrics.

    Args:
        tables: The aggregated tables ``final_metric`` and ``seeds``.
        context: Gives labels and the confidence level.
    """
    rows = context.of_main_runs(tables["final_metric"]).rename(columns={"run": "optimizer"})
    columns = ["problem", "metric", "better", "optimizer", "seeds", "mean", "ci_low", "ci_high", "diverged"]
    caption = (
        "Each problem's metric on the test images at the end of the budget, with its better direction: mean over seeds "
        f"and its {context.confidence:.0%} percentile-bootstrap confidence interval. A run with a diverged seed has no "
        "mean."
    )
    digits = {"mean": 2, "ci_low": 2, "ci_high": 2}
    note = data_note(tables["seeds"])
    return Table(rows[columns], f"{caption} {note}".strip(), digits, context.labels)
