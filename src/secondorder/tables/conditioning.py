"""The work that each run takes to the minimum of each analytic function."""

from collections.abc import Mapping

import pandas as pd

from secondorder.presentation import Context
from secondorder.tables.footnotes import numbered
from secondorder.tables.table import Table


def build(tables: Mapping[str, pd.DataFrame], context: Context) -> Table:
    """Return the table of work: a row per run, a column per function, and one per saddle for the way out of it.

    Args:
        tables: The table ``landscape_outcomes``.
        context: Gives labels and order.
    """
    outcomes = tables["landscape_outcomes"]
    reached = outcomes["gradient_equivalents"].where(outcomes["status"] == "reached", float("inf"))
    refused = outcomes["status"] == "refused"
    outcomes = outcomes.assign(work=reached.mask(refused), escape=outcomes["escape"].fillna(float("inf")).mask(refused))
    functions = list(outcomes["function"].unique())
    saddles = list(outcomes.loc[outcomes["kind"] == "strict_saddle", "function"].unique())
    runs = [run for run in context.main_runs if run in set(outcomes["run"])]
    work, escape = (outcomes.pivot_table(column, "run", "function", dropna=False) for column in ("work", "escape"))
    rows = work.reindex(index=runs, columns=functions).join(
        escape.reindex(index=runs, columns=saddles).add_prefix("escape_")
    )
    rows = rows.rename_axis("optimizer").reset_index()
    notes = numbered(outcomes.loc[refused, "reason"])
    reasons = " ".join(f"{number}: {reason}." for reason, number in notes.items())
    caption = (
        "Gradient-equivalents until the gap to the minimum of an analytic function is a small share of the first one; "
        "of saddles, escape: until it is below half of what it is at the saddle. Each number is of the best of equally "
        "many trials of the run on this function; ∞: none reached it within the budget. A dash: the run refuses the "
        f"function. {f'Reasons: {reasons}' if reasons else ''}"
    )
    numbers = [str(column) for column in rows.columns if column != "optimizer"]
    return Table(rows, caption.strip(), dict.fromkeys(numbers, 1), context.labels)
