"""Training loss and validation metric of all runs on one problem, against all that training can be charged by."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from secondorder.plotting.style import (
    PAGE_INCHES,
    RunStyle,
    draw_with_band,
    is_short,
    run_styles,
    write_note,
    write_plain_numbers,
)
from secondorder.presentation import Context, data_note

_COLUMNS = {
    "epoch": "Epochs",
    "step": "Updates",
    "gradient_equivalents": "Gradient-equivalents",
    "seconds": "Training seconds",
}
_SUMMARY = ["mean", "ci_low", "ci_high"]
_LOGARITHMIC = ("step", "seconds")


def caption(context: Context) -> str:
    """Return what the figure shows."""
    error = context.metric(str(context.problem)).error_label
    return (
        f"Training on {context.problem}: mean over seeds and {context.confidence:.0%} confidence band of the training "
        f"loss (without penalty) and of the validation {error}. The dashed line is the target; a cross marks a curve "
        "that ends because a seed diverged. Updates and seconds are logarithmic and leave out the start."
    )


def draw(tables: Mapping[str, pd.DataFrame], context: Context) -> Figure:
    """Draw the mean over seeds with its confidence band, one column of panels per unit of cost.

    Args:
        tables: The aggregated tables ``curves`` and ``seeds``.
        context: Names the problem.
    """
    curves = tables["curves"][tables["curves"]["problem"] == context.problem]
    seeds = tables["seeds"][tables["seeds"]["problem"] == context.problem]
    metric = context.metric(str(context.problem))
    rows = {"training_loss": "Training loss", f"validation_{metric.name}": f"Validation {metric.error_title}"}
    styles = run_styles(context.main_runs)
    runs = [run for run in context.main_runs if run in set(curves["run"])]
    figure, axes = plt.subplots(
        len(rows), len(_COLUMNS), figsize=(PAGE_INCHES, 3.6), sharex="col", sharey="row", squeeze=False
    )
    for row, name in enumerate(rows):
        for column, position in enumerate(_COLUMNS):
            for run in runs:
                curve = curves[(curves["run"] == run) & (curves["metric"] == name)]
                if row:
                    curve = curve.assign(**metric.error(curve[_SUMMARY]))
                ends_early = bool((seeds[seeds["run"] == run]["status"] == "diverged").any())
                _draw_curve(axes[row, column], curve, position, styles[run], ends_early)
    _label_axes(axes, list(rows.values()), metric.error(context.targets[str(context.problem)]))
    figure.align_ylabels(axes[:, 0])
    figure.align_xlabels(axes[-1, :])
    handles = [
        Line2D([], [], color=styles[run].color, marker=styles[run].marker, linestyle=styles[run].linestyle)
        for run in runs
    ]
    figure.legend(handles, [context.labels[run] for run in runs], loc="outside upper center", ncols=min(len(runs), 5))
    write_note(figure, data_note(seeds))
    return figure


def _draw_curve(axes: Axes, curve: pd.DataFrame, position: str, style: RunStyle, ends_early: bool) -> None:
    if position in _LOGARITHMIC:
        curve = curve[curve["step"] > 0]
    if curve.empty:
        return
    curve = curve.set_index(position)[_SUMMARY]
    draw_with_band(axes, curve, style)
    if ends_early:
        axes.plot(
            curve.index[-1:], curve["mean"].iloc[-1:], color=style.color, marker="x", markersize=7, linestyle="none"
        )


def _label_axes(axes: NDArray[Any], labels: Sequence[str], target: float) -> None:
    for row, label in enumerate(labels):
        axes[row, 0].set_ylabel(label)
    for column, (position, label) in enumerate(_COLUMNS.items()):
        bottom = axes[-1, column]
        bottom.set_xlabel(label)
        if position in _LOGARITHMIC:
            bottom.set_xscale("log")
            if is_short(bottom.get_xlim()):
                write_plain_numbers(bottom.xaxis)
        else:
            bottom.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=5))
        bottom.axhline(target, color="0.4", linewidth=0.8, linestyle=(0, (4, 3)))
    for left in axes[:, 0]:
        left.set_yscale("log")
        if is_short(left.get_ylim()):
            write_plain_numbers(left.yaxis)
