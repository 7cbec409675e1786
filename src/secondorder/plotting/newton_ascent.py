"""How often Newton directions go up, along training."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from secondorder.plotting.style import PAGE_INCHES, RunStyle, family_styles, run_styles, write_note
from secondorder.presentation import Context, data_note

_INCHES_PER_ROW = 1.6
_SHORTEST_AXIS = 40.0
_SHORTEST_PART = 60.0


def caption(context: Context) -> str:  # noqa: ARG001
    """Return what the figure shows."""
    return (
        "Left: percentage of Hessians whose Newton direction goes up instead of down (positive inner product with the "
        "gradient), for one network along its training (the first seed of each run): plain Newton at several dampings, "
        "and each spectral adjustment over all dampings. Right: the percentage of negative eigenvalues, and how much "
        "of the undamped Newton step's work along eigendirections negative curvature does against it (above 50% the "
        "step goes up); medians over Hessians, bands from the smallest to the largest."
    )


def draw(tables: Mapping[str, pd.DataFrame], context: Context) -> Figure:
    """Draw a row of panels per problem and kind of Hessian, a column per run and two for what lies behind.

    Args:
        tables: The table ``directions``.
        context: Gives labels.
    """
    directions = tables["directions"]
    directions = directions.assign(
        ascends=100.0 * directions["ascends"],
        negative=100.0 * directions["negative"] / directions["rank"],
        uphill=100.0 * directions["uphill"],
        line=[
            f"Newton, damping {damping:g}" if adjustment == "newton" else adjustment
            for adjustment, damping in zip(directions["adjustment"], directions["damping"], strict=True)
        ],
    )
    lines = list(directions["line"].unique())
    runs = [run for run in context.labels if run in set(directions["run"])]
    rows = list(directions[["problem", "kind"]].drop_duplicates().itertuples(index=False, name=None))
    figure, axes = plt.subplots(
        len(rows),
        len(runs) + 2,
        figsize=(PAGE_INCHES, 0.8 + _INCHES_PER_ROW * len(rows)),
        sharex=True,
        squeeze=False,
    )
    top = max(_SHORTEST_AXIS, directions.groupby(["problem", "kind", "run", "line", "share"])["ascends"].mean().max())
    largest = max(_SHORTEST_PART, directions[["negative", "uphill"]].max().max())
    of_lines, of_runs = run_styles(lines), family_styles(list(context.labels), context.families)
    for row, (problem, kind) in enumerate(rows):
        chosen = directions[(directions["problem"] == problem) & (directions["kind"] == kind)]
        samples = "single samples" if kind == "sample" else f"batches of {int(chosen['samples'].max())}"
        axes[row, 0].set_ylabel(f"{problem},\n{samples}")
        for column, run in enumerate(runs):
            of_run = chosen[chosen["run"] == run]
            _draw_ascents(axes[row, column], of_run, lines, of_lines)
            axes[row, column].set_ylim(-0.04 * top, 1.04 * top)
            for panel, measure in zip(axes[row, len(runs) :], ("negative", "uphill"), strict=True):
                _draw_median(panel, of_run, measure, of_runs[run], context.labels[run])
                panel.set_ylim(-0.04 * largest, 1.04 * largest)
        axes[row, -1].axhline(50, color="0.4", linewidth=0.8, linestyle=(0, (4, 3)))
    titles = [f"{context.labels[run]}: ascending (%)" for run in runs]
    for panel, title in zip(axes[0], [*titles, "Negative eigenvalues (%)", "Work uphill (%)"], strict=True):
        panel.set_title(title)
    for panel in axes[-1]:
        panel.set_xlabel("Budget (%)")
    axes[0, -2].legend()
    handles = [
        Line2D([], [], color=of_lines[name].color, marker=of_lines[name].marker, linestyle=of_lines[name].linestyle)
        for name in lines
    ]
    figure.legend(handles, lines, loc="outside upper center", ncols=min(3, len(lines)))
    write_note(figure, data_note(directions))
    return figure


def _draw_ascents(axes: Axes, rows: pd.DataFrame, lines: Sequence[str], styles: Mapping[str, RunStyle]) -> None:
    # The first line is drawn last, because several lie on zero and it is the one to look for.
    for name in reversed(lines):
        ascents = rows[rows["line"] == name].groupby("share")["ascends"].mean()
        axes.plot(
            100 * ascents.index,
            ascents,
            color=styles[name].color,
            marker=styles[name].marker,
            linestyle=styles[name].linestyle,
        )


def _draw_median(axes: Axes, rows: pd.DataFrame, measure: str, style: RunStyle, label: str) -> None:
    groups = rows.groupby("share")[measure]
    middle = groups.median()
    axes.fill_between(100 * middle.index, groups.min(), groups.max(), color=style.color, alpha=0.2, linewidth=0)
    axes.plot(
        100 * middle.index, middle, color=style.color, marker=style.marker, linestyle=style.linestyle, label=label
    )
