"""Work and seconds that each run spends until the target of one problem."""

from collections.abc import Mapping

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from secondorder.plotting.dots import INCHES_PER_ROW, draw_ranges, in_families, name_rows
from secondorder.plotting.style import PAGE_INCHES, family_styles, write_note, write_plain_numbers
from secondorder.presentation import Context, data_note

_MEASURES = {"gradient_equivalents": "Gradient-equivalents to target", "seconds": "Training seconds to target"}

# Beyond, labels at 1, 2 and 5 of each decade would run into each other.
_PLAIN_SPAN = 3000


def caption(context: Context) -> str:
    """Return what the figure shows."""
    shared = "" if context.exclusive else " Runs shared the machine, so seconds are indicative."
    return (
        f"Spent on {context.problem} until the validation metric first reaches the target: median over seeds, and a "
        "line from the smallest to the largest. A seed that misses the target counts as infinite: a cross at the right "
        "edge is a run that misses it in half of its seeds or more, and a line that goes there has seeds that miss it. "
        f"Resolution: an epoch's worth of work.{shared}"
    )


def draw(tables: Mapping[str, pd.DataFrame], context: Context) -> Figure:
    """Draw a row per run, and a panel for work and for seconds.

    Args:
        tables: The aggregated tables ``time_to_target`` and ``seeds``.
        context: Names the problem and the runs' families.
    """
    times = context.of_main_runs(tables["time_to_target"])
    times = times[times["problem"] == context.problem]
    runs = in_families([run for run in context.main_runs if run in set(times["run"])], context)
    styles = family_styles(context.main_runs, context.families)
    figure, axes = plt.subplots(
        1,
        len(_MEASURES),
        figsize=(PAGE_INCHES, 0.6 + INCHES_PER_ROW * len(runs)),
        sharey=True,
        squeeze=False,
    )
    for panel, (measure, label) in zip(axes[0], _MEASURES.items(), strict=True):
        draw_ranges(panel, times, measure, runs, styles)
        name_rows(panel, runs, context)
        low, high = panel.get_xlim()
        if high < _PLAIN_SPAN * low:
            write_plain_numbers(panel.xaxis)
        panel.set_xlabel(label)
    write_note(figure, data_note(tables["seeds"]))
    return figure
