"""What every run spends until its validation metric first reaches the problem's target."""

from collections.abc import Mapping

import pandas as pd

from secondorder.presentation import Context, data_note
from secondorder.statistics.curves import POSITIONS
from secondorder.tables.table import Table

_SHOWN = {"epoch": "epochs", "step": "updates"}


def build(tables: Mapping[str, pd.DataFrame], context: Context) -> Table:
    """Return the table of times to target.

    Args:
        tables: The aggregated tables ``time_to_target`` and ``seeds``.
        context: Gives labels.
    """
    rows = context.of_main_runs(tables["time_to_target"]).rename(columns={"run": "optimizer"})
    for position, shown in _SHOWN.items():
        rows = rows.rename(columns={f"{position}{end}": f"{shown}{end}" for end in ("", "_min", "_max")})
    spent = [_SHOWN.get(position, position) for position in POSITIONS]
    columns = ["problem", "metric", "better", "optimizer", "target", "seeds", "reached"]
    columns += [f"{name}{end}" for name in spent for end in ("", "_min", "_max")]
    caption = (
        "Spent until each problem's metric on the validation images first reaches the target, in its better direction: "
        "median over seeds (smallest–largest); a seed that misses the target counts as infinite. Resolution: an "
        "epoch's worth of work."
    )
    if not context.exclusive:
        caption += " Runs shared the machine, so seconds are indicative."
    digits = {"target": 1, "epochs": 1, "updates": 0, "gradient_equivalents": 0, "seconds": 2}
    note = data_note(tables["seeds"])
    return Table(rows[columns], f"{caption} {note}".strip(), digits, context.labels, ranges=spent)
