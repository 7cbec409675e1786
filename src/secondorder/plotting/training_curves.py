"""Training loss and validation error of all runs on one problem, against everything that training can be charged by."""

from collections.abc import Mapping
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

_ROWS = {"training_loss": "Training loss", "validation_accuracy": "Validation error (%)"}
_COLUMNS = {
    "epoch": "Epochs",
    "step": "Updates",
    "gradient_equivalents": "Gradient-equivalents",
    "seconds": "Training seconds",
}
_LOGARITHMIC = ("step", "seconds")


def caption(context: Context) -> str:
    """Return what the figure shows."""
    return (
        f"Training on {context.problem}: mean over seeds and {context.confidence:.0%} confidence band of the training "
        "loss (without penalty) and of the validation error. The dashed line is the target; a cross marks a curve that "
        "ends because a seed diverged. Updates and seconds are logarithmic and leave out the start."
    )


def draw(tables: Mapping[str, pd.DataFrame], context: Context) -> Figure:
    """Draw the mean over seeds with its confidence band, one column of panels per unit of cost.

    Args:
        tables: The aggregated tables ``curves`` and ``seeds``.
        context: Names the problem.
    """
    curves = tables["curves"][tables["curves"]["problem"] == context.problem]
    seeds = tables["seeds"][tables["seeds"]["problem"] == context.problem]
    styles = run_styles(context.main_runs)
    runs = [run for run in context.main_runs if run in set(curves["run"])]
    figure, axes = plt.subplots(
        len(_ROWS), len(_COLUMNS), figsize=(PAGE_INCHES, 3.6), sharex="col", sharey="row", squeeze=False
    )
    for row, metric in enumerate(_ROWS):
        for column, position in enumerate(_COLUMNS):
            for run in runs:
                curve = curves[(curves["run"] == run) & (curves["metric"] == metric)]
                ends_early = bool((seeds[seeds["run"] == run]["status"] == "diverged").any())
                _draw_curve(axes[row, column], curve, position, metric, styles[run], ends_early)
    _label_axes(axes, context)
    figure.align_ylabels(axes[:, 0])
    figure.align_xlabels(axes[-1, :])
    handles = [
        Line2D([], [], color=styles[run].color, marker=styles[run].marker, linestyle=styles[run].linestyle)
        for run in runs
    ]
    figure.legend(handles, [context.labels[run] for run in runs], loc="outside upper center", ncols=min(len(runs), 5))
    write_note(figure, data_note(seeds))
    return figure


def _draw_curve(axes: Axes, curve: pd.DataFrame, position: str, metric: str, style: RunStyle, ends_early: bool) -> None:
    if position in _LOGARITHMIC:
        curve = curve[curve["step"] > 0]
    if curve.empty:
        return
    curve = curve.set_index(position)[["mean", "ci_low", "ci_high"]]
    if metric == "validation_accuracy":
        curve = 100 * (1 - curve)
    draw_with_band(axes, curve, style)
    if ends_early:
        axes.plot(
            curve.index[-1:], curve["mean"].iloc[-1:], color=style.color, marker="x", markersize=7, linestyle="none"
        )


def _label_axes(axes: NDArray[Any], context: Context) -> None:
    for row, label in enumerate(_ROWS.values()):
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
        target = 100 * (1 - context.targets[str(context.problem)])
        bottom.axhline(target, color="0.4", linewidth=0.8, linestyle=(0, (4, 3)))
    for left in axes[:, 0]:
        left.set_yscale("log")
        if is_short(left.get_ylim()):
            write_plain_numbers(left.yaxis)
