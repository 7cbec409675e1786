"""How many updates every run takes to a given training loss, and how many times fewer than the reference run."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from secondorder.presentation import Context, data_note
from secondorder.tables.table import Table


def build(tables: Mapping[str, pd.DataFrame], context: Context) -> Table:
    """Return the table of updates to a training loss.

    Args:
        tables: The aggregated tables ``updates_to_loss`` and ``seeds``.
        context: Gives labels and the reference run.
    """
    rows = with_ratios(tables["updates_to_loss"], context.reference).rename(columns={"run": "optimizer"})
    reference = context.labels.get(context.reference, context.reference)
    caption = (
        "Updates until the training loss (without penalty, evaluation mode) first reaches the target: median over "
        "seeds (smallest–largest), at the resolution of an epoch's worth of work. Times fewer than "
        f"{reference}, each in its own batches and at equal work: at least, from the last evaluation at which "
        f"{reference} was above the target, and at most, from the last at which the optimizer was. A seed that misses "
        "the target counts as infinite."
    )
    columns = ["problem", "optimizer", "target", "seeds", "reached", "updates", "updates_min", "updates_max"]
    columns += ["times_fewer_at_least", "times_fewer_at_most"]
    digits = {"target": 2, "updates": 0, "times_fewer_at_least": 2, "times_fewer_at_most": 2}
    note = data_note(tables["seeds"])
    return Table(rows[columns], f"{caption} {note}".strip(), digits, context.labels, ranges=["updates"])


def with_ratios(updates: pd.DataFrame, reference: str) -> pd.DataFrame:
    """Return the rows with the smallest and the largest ratio of the reference's updates to theirs.

    Args:
        updates: The aggregated table ``updates_to_loss``.
        reference: The run to compare with; ratios are missing on problems that do not train it, or where it or the run
            misses the target.
    """
    base = updates[updates["run"] == reference].set_index("problem")
    fewest, most = updates["problem"].map(base["fewest"]), updates["problem"].map(base["updates"])
    at_least = (fewest / updates["updates"]).where(np.isfinite(fewest) & np.isfinite(updates["updates"]))
    at_most = (most / updates["fewest"]).where(np.isfinite(most) & np.isfinite(updates["fewest"]))
    return updates.assign(times_fewer_at_least=at_least, times_fewer_at_most=at_most)
