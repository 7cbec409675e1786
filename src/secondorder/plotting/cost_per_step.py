"""What a step of each run costs in seconds, work and memory, on every problem, relative to one run."""

from collections.abc import Mapping

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from secondorder.plotting.dots import INCHES_PER_ROW, in_families, name_rows
from secondorder.plotting.style import PAGE_INCHES, is_short, run_styles, write_note, write_plain_numbers
from secondorder.presentation import Context, data_note
from secondorder.statistics.step_cost import relative_cost

_MEASURES = {
    "seconds": "Seconds",
    "gradient_equivalents": "Gradient-equivalents",
    "peak_memory_bytes": "Peak memory",
}
_LEGEND_COLUMNS = 4
_SPREAD = 0.5


def caption(context: Context) -> str:
    """Return what the figure shows."""
    reference = context.labels.get(context.reference, context.reference)
    shared = "" if context.exclusive else " Runs shared the machine, so seconds are indicative."
    return (
        f"What one step costs, each with its own batches, over what a step of {reference} costs on the same problem: "
        "seconds without evaluations, gradient-equivalents, and the peak memory of training, which on the CPU is that "
        "of the whole process with its libraries, its data and what earlier runs of the same job left behind. Medians "
        f"over seeds.{shared}"
    )


def draw(tables: Mapping[str, pd.DataFrame], context: Context) -> Figure:
    """Draw a row per run, a marker per problem, and a panel per measure of cost.

    Args:
        tables: The aggregated tables ``step_cost`` and ``seeds``.
        context: Gives labels, families and the reference run.
    """
    costs = relative_cost(context.of_main_runs(tables["step_cost"]), context.reference)
    runs = in_families([run for run in context.main_runs if run in set(costs["run"])], context)
    problems = list(costs["problem"].unique())
    styles = run_styles(problems)
    figure, axes = plt.subplots(
        1, len(_MEASURES), figsize=(PAGE_INCHES, 0.9 + INCHES_PER_ROW * len(runs)), sharey=True, squeeze=False
    )
    for panel, (measure, label) in zip(axes[0], _MEASURES.items(), strict=True):
        for place, problem in enumerate(problems):
            of_problem = costs[costs["problem"] == problem].dropna(subset=f"times_{measure}")
            # Markers of one row are set apart, because those of cheap methods lie on each other.
            offset = _SPREAD * ((place + 0.5) / len(problems) - 0.5)
            panel.plot(
                of_problem[f"times_{measure}"],
                [runs.index(run) + offset for run in of_problem["run"]],
                color=styles[problem].color,
                marker=styles[problem].marker,
                linestyle="none",
            )
        panel.set_xscale("log")
        panel.axvline(1, color="0.4", linewidth=0.8, linestyle=(0, (4, 3)))
        if is_short(panel.get_xlim()):
            write_plain_numbers(panel.xaxis)
        name_rows(panel, runs, context)
        panel.set_xlabel(f"{label}, times {context.labels.get(context.reference, context.reference)}")
    handles = [
        Line2D([], [], color=styles[problem].color, marker=styles[problem].marker, linestyle="none")
        for problem in problems
    ]
    figure.legend(handles, problems, loc="outside upper center", ncols=min(_LEGEND_COLUMNS, max(len(problems), 1)))
    write_note(figure, data_note(tables["seeds"]))
    return figure
