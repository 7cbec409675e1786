"""What one step of every run costs on every problem."""

from collections.abc import Mapping

import pandas as pd

from secondorder.presentation import Context, data_note
from secondorder.statistics.step_cost import relative_cost
from secondorder.tables.table import Table

_UNITS = {"seconds": ("milliseconds", 1e3), "peak_memory_bytes": ("memory", 2.0**-20)}


def build(tables: Mapping[str, pd.DataFrame], context: Context) -> Table:
    """Return the table of costs per step.

    Args:
        tables: The aggregated tables ``step_cost`` and ``seeds``.
        context: Gives labels and the reference run.
    """
    rows = relative_cost(context.of_main_runs(tables["step_cost"]), context.reference).rename(
        columns={"run": "optimizer", "times_peak_memory_bytes": "times_memory"}
    )
    for name, (shown, factor) in _UNITS.items():
        for end in ("", "_min", "_max"):
            rows[f"{shown}{end}"] = factor * rows[f"{name}{end}"]
    columns = ["problem", "optimizer", "seeds", "steps", "milliseconds", "milliseconds_min", "milliseconds_max"]
    columns += ["times_seconds", "gradient_equivalents", "times_gradient_equivalents"]
    columns += ["memory", "memory_min", "memory_max", "times_memory"]
    caption = (
        "What one step costs, each run with its own batches: milliseconds without evaluations (median over the steps "
        "of a seed), gradient-equivalents, and the peak memory of training in MiB, which on the CPU is that of the "
        "whole process with its libraries, its data and what earlier runs of the same job left behind. Medians over "
        "seeds (smallest–largest), and times those of "
        f"{context.labels.get(context.reference, context.reference)} on the same problem."
    )
    if not context.exclusive:
        caption += " Runs shared the machine, so milliseconds are indicative."
    digits = {"gradient_equivalents": 2, "memory": 0, "times_memory": 2}
    significant = dict.fromkeys(["milliseconds", "times_seconds", "times_gradient_equivalents"], 3)
    return Table(
        rows[columns],
        f"{caption} {data_note(tables['seeds'])}".strip(),
        digits,
        context.labels,
        ranges=("milliseconds", "memory"),
        significant=significant,
    )
