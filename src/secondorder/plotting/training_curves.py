"""Training loss and validation error on one problem, a row of panels per family of methods."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator
from matplotlib.transforms import Transform, blended_transform_factory

from secondorder.families import FAMILIES
from secondorder.metric import MetricDescription
from secondorder.plotting.style import (
    OTHER_RUNS,
    PAGE_INCHES,
    RunStyle,
    draw_with_band,
    family_styles,
    is_short,
    write_note,
    write_plain_numbers,
)
from secondorder.presentation import Context, data_note

# What is drawn, the loss or the validation metric, and against what.
_COLUMNS = (
    ("loss", "step"),
    ("loss", "gradient_equivalents"),
    ("metric", "gradient_equivalents"),
    ("metric", "seconds"),
)
_SUMMARY = ["mean", "ci_low", "ci_high"]
_POSITIONS = {"step": "Updates", "gradient_equivalents": "Gradient-equivalents", "seconds": "Training seconds"}
_LOGARITHMIC = ("step", "seconds")
_INCHES_PER_ROW = 1.35
_MEMBERS_PER_LINE = 6


def caption(context: Context) -> str:
    """Return what the figure shows."""
    error = context.metric(str(context.problem)).error_label
    return (
        f"Training on {context.problem}, a row per family of methods, with all other runs in grey: mean over seeds and "
        f"{context.confidence:.0%} confidence band of the training loss (without penalty) by updates and by work, and "
        f"of the validation {error} by work and by time. The dashed line is the target; a cross marks a curve that "
        "ends because a seed diverged. Updates and seconds are logarithmic and leave out the start."
    )


def draw(tables: Mapping[str, pd.DataFrame], context: Context) -> Figure:
    """Draw the mean over seeds with its confidence band, a row per family, a column per metric and unit of cost.

    Args:
        tables: The aggregated tables ``curves`` and ``seeds``.
        context: Names the problem and the runs' families.
    """
    curves = tables["curves"][tables["curves"]["problem"] == context.problem]
    seeds = tables["seeds"][tables["seeds"]["problem"] == context.problem]
    metric = context.metric(str(context.problem))
    names = {"loss": "training_loss", "metric": f"validation_{metric.name}"}
    styles = family_styles(context.main_runs, context.families)
    runs = [run for run in context.main_runs if run in set(curves["run"])]
    diverged = set(seeds[seeds["status"] == "diverged"]["run"])
    rows = {
        label: members
        for family, label in FAMILIES.items()
        if (members := [run for run in runs if context.families.get(run, "other") == family])
    }
    count = max(len(rows), 1)
    figure, axes = plt.subplots(
        count,
        len(_COLUMNS),
        figsize=(PAGE_INCHES, 0.5 + _INCHES_PER_ROW * count),
        squeeze=False,
    )
    for panel in axes[:-1].flat:
        panel.tick_params(labelbottom=False)
    for column, (measure, position) in enumerate(_COLUMNS):
        of_measure = curves[curves["metric"] == names[measure]]
        shown = {
            run: _shown_curve(of_measure[of_measure["run"] == run], position, metric if measure == "metric" else None)
            for run in runs
        }
        for panel, members in zip(axes[:, column], rows.values(), strict=False):
            _draw_others(panel, [curve for run, curve in shown.items() if run not in members])
            for run in members:
                _draw_curve(panel, shown[run], styles[run], ends_early=run in diverged)
    for column in axes.T:
        _share_limits(column, "x")
    # Panels of one metric share its scale, whatever they are drawn against.
    for columns in (axes[:, :2], axes[:, 2:]):
        _share_limits(columns.flat, "y")
    for panels, (label, members) in zip(axes, rows.items(), strict=False):
        _write_members(panels[0], figure.transFigure, label, members, styles, context)
    for panels in axes:
        _scale_axes(panels, context)
        _tick_axes(panels)
    for panel, (_, position) in zip(axes[-1], _COLUMNS, strict=True):
        panel.set_xlabel(_POSITIONS[position])
    write_note(figure, data_note(seeds))
    return figure


def _share_limits(panels: Iterable[Axes], direction: Literal["x", "y"]) -> None:
    """Let panels show the same range, that of the data of all of them.

    Matplotlib's shared axes ask all panels whenever one is touched, which takes most of the time of so many.
    """
    panels = list(panels)
    corners = np.concatenate([[*panel.dataLim.get_points(), panel.dataLim.minpos] for panel in panels])
    for panel in panels:
        panel.update_datalim(corners, updatex=direction == "x", updatey=direction == "y")


def _shown_curve(curve: pd.DataFrame, position: str, metric: MetricDescription | None) -> pd.DataFrame:
    """Return what is drawn of a curve, by its position: a metric as its error."""
    if position in _LOGARITHMIC:
        curve = curve[curve["step"] > 0]
    values = curve.set_index(position)[_SUMMARY]
    return values if metric is None else metric.error(values)


def _draw_others(axes: Axes, curves: Sequence[pd.DataFrame]) -> None:
    """Draw the means of curves in grey, as one artist: lines of their own would take most of the time."""
    lines = [np.column_stack([curve.index, curve["mean"]]) for curve in curves if len(curve)]
    if lines:
        axes.add_collection(LineCollection(lines, colors=OTHER_RUNS, linewidths=0.6, zorder=1))


def _draw_curve(axes: Axes, curve: pd.DataFrame, style: RunStyle, *, ends_early: bool) -> None:
    if curve.empty:
        return
    draw_with_band(axes, curve, style)
    if ends_early:
        axes.plot(
            curve.index[-1:], curve["mean"].iloc[-1:], color=style.color, marker="x", markersize=7, linestyle="none"
        )


def _write_members(
    axes: Axes,
    across: Transform,
    family: str,
    members: Sequence[str],
    styles: Mapping[str, RunStyle],
    context: Context,
) -> None:
    """Write a family's name and its runs over its row of panels, from the left end of the whole figure."""
    handles = [Line2D([], [], linestyle="none")]
    handles += [
        Line2D([], [], color=styles[run].color, marker=styles[run].marker, linestyle=styles[run].linestyle)
        for run in members
    ]
    lines = math.ceil(len(handles) / _MEMBERS_PER_LINE)
    legend = axes.legend(
        handles,
        [family, *(context.labels[run] for run in members)],
        loc="lower left",
        bbox_to_anchor=(0, 1),
        bbox_transform=blended_transform_factory(across, axes.transAxes),
        borderaxespad=0.2,
        columnspacing=1.0,
        fontsize=7,
        handlelength=2.4,
        ncols=math.ceil(len(handles) / lines),
    )
    legend.get_texts()[0].set_fontweight("bold")
    # It is as wide as the figure, and a layout that knew would widen its panel; the title holds the place.
    legend.set_in_layout(False)
    axes.set_title("\n".join([" "] * lines))


def _scale_axes(axes: Sequence[Axes], context: Context) -> None:
    metric = context.metric(str(context.problem))
    target = metric.error(context.targets[str(context.problem)])
    for panel, (measure, position) in zip(axes, _COLUMNS, strict=True):
        if measure == "metric":
            panel.axhline(target, color="0.4", linewidth=0.8, linestyle=(0, (4, 3)))
        panel.set_yscale("log")
        if position in _LOGARITHMIC:
            panel.set_xscale("log")
    for place, label in ((0, "Training loss"), (2, f"Validation\n{metric.error_title}")):
        axes[place].set_ylabel(label)
        axes[place + 1].tick_params(labelleft=False)


def _tick_axes(axes: Sequence[Axes]) -> None:
    for panel, (_, position) in zip(axes, _COLUMNS, strict=True):
        if is_short(panel.get_ylim()):
            write_plain_numbers(panel.yaxis)
        if position in _LOGARITHMIC:
            if is_short(panel.get_xlim()):
                write_plain_numbers(panel.xaxis)
        else:
            panel.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=4))
        # Of so many panels they are most of the time that drawing takes.
        panel.minorticks_off()
