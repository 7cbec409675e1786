"""Panels of a few runs each, so that twenty runs can be told apart, and work against a difficulty in them."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D
from matplotlib.transforms import ScaledTranslation

from secondorder.plotting.dots import in_families
from secondorder.plotting.style import PAGE_INCHES, RunStyle, family_styles
from secondorder.presentation import Context

_LARGEST_GROUP = 6
_LEGEND_LINE_INCHES = 0.135
_MISSED_ABOVE = 1.6
_ABOVE_MARKS_INCHES = 0.06


def groups_of(runs: Sequence[str]) -> list[list[str]]:
    """Return the runs in as few groups of at most six as there can be, of nearly equal size, in their order."""
    count = max(1, -(-len(runs) // _LARGEST_GROUP))
    ends = [len(runs) * group // count for group in range(count + 1)]
    return [list(runs[start:end]) for start, end in pairwise(ends)]


def name_runs(figure: Figure, panels: Sequence[Axes], groups: Sequence[Sequence[str]], context: Context) -> None:
    """Write a legend above each of the top panels, with room for it at the top of the figure.

    Args:
        figure: The figure, with a constrained layout.
        panels: The panels of its first row.
        groups: The runs of each.
        context: Gives labels and order.
    """
    styles = family_styles(context.main_runs, context.families)
    for panel, runs in zip(panels, groups, strict=True):
        legend = panel.legend(
            [line_of(styles[run]) for run in runs],
            [context.labels[run] for run in runs],
            loc="lower left",
            bbox_to_anchor=(0, 1),
            borderaxespad=0.2,
            fontsize=6.5,
            labelspacing=0.25,
            handlelength=1.6,
            handletextpad=0.5,
            borderpad=0,
        )
        # A long label would make the panels narrow, and unequally so.
        legend.set_in_layout(False)
    room = _LEGEND_LINE_INCHES * max(map(len, groups)) / figure.get_figheight()
    figure.set_layout_engine(ConstrainedLayoutEngine(rect=(0, 0, 1, 1 - room)))


def line_of(style: RunStyle) -> Line2D:
    """Return a line of a run for a legend."""
    return Line2D([], [], color=style.color, marker=style.marker, linestyle=style.linestyle)


def draw_work_against(
    outcomes: pd.DataFrame, difficulty: str, work: str, budget: float, context: Context
) -> tuple[Figure, list[Axes]]:
    """Draw a panel per group of runs: work on a logarithmic scale against a difficulty on one.

    A missing work is drawn above the budget, on a line that says so.

    Args:
        outcomes: Columns run, ``difficulty`` and ``work``, in which NaN is a miss; refused runs left out.
        difficulty: Column to draw against.
        work: Column to draw.
        budget: The largest work there can be, but for a last step.
        context: Gives labels and order.

    Returns:
        The figure and its panels.
    """
    drawn = set(outcomes["run"])
    groups = groups_of(in_families([run for run in context.main_runs if run in drawn], context))
    figure, axes = plt.subplots(1, len(groups), figsize=(PAGE_INCHES, 3.1), sharex=True, sharey=True, squeeze=False)
    panels = list(axes[0])
    styles = family_styles(context.main_runs, context.families)
    missed = _MISSED_ABOVE * max(budget, outcomes[work].max())
    for panel, runs in zip(panels, groups, strict=True):
        panel.set_xscale("log")
        panel.set_yscale("log")
        panel.axhline(missed, color="0.4", linewidth=0.8, linestyle=(0, (4, 3)))
        for place, run in enumerate(runs):
            own = outcomes[outcomes["run"] == run].sort_values(difficulty)
            _draw_run(panel, own[difficulty], own[work], missed, styles[run], place)
        panel.text(
            1,
            missed,
            "not within the budget",
            transform=panel.get_yaxis_transform() + ScaledTranslation(0, _ABOVE_MARKS_INCHES, figure.dpi_scale_trans),
            ha="right",
            va="bottom",
            fontsize=6,
        )
    panels[0].set_ylim(top=3 * missed)
    name_runs(figure, panels, groups, context)
    return figure, panels


def _draw_run(
    panel: Axes, difficulty: "pd.Series[float]", work: "pd.Series[float]", missed: float, style: RunStyle, place: int
) -> None:
    # Runs that need the same work lie on each other; each is a little larger than the one drawn over it.
    marks: dict[str, Any] = {"marker": style.marker, "markersize": 7.5 - 0.9 * place, "markerfacecolor": "none"}
    panel.plot(difficulty, work, color=style.color, linestyle=style.linestyle, **marks)
    # No line leads to a miss, because it would have a slope that means nothing.
    absent = work.isna()
    panel.plot(difficulty[absent], work[absent].fillna(missed), color=style.color, linestyle="none", **marks)
