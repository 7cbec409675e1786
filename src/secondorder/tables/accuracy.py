"""Test accuracy of every run on every problem."""

from collections.abc import Mapping

import pandas as pd

from secondorder.presentation import Context, data_note
from secondorder.tables.table import Table


def build(tables: Mapping[str, pd.DataFrame], context: Context) -> Table:
    """Return the table of test accuracies.

    Args:
        tables: The aggregated tables ``accuracy`` and ``seeds``.
        context: Gives labels and the confidence level.
    """
    rows = context.of_main_runs(tables["accuracy"]).rename(columns={"run": "optimizer"})
    columns = ["problem", "optimizer", "seeds", "mean", "ci_low", "ci_high", "diverged"]
    caption = (
        f"Test accuracy in percent at the end of the budget: mean over seeds and its {context.confidence:.0%} "
        "percentile-bootstrap confidence interval. A run with a diverged seed has no mean."
    )
    digits = {"mean": 2, "ci_low": 2, "ci_high": 2}
    note = data_note(tables["seeds"])
    return Table(rows[columns], f"{caption} {note}".strip(), digits, context.labels)
