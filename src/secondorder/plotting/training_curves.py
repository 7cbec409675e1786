"""Training loss and validation accuracy of all runs on one problem, against everything that training can be charged by."""

from collections.abc import Mapping

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from secondorder.presentation import Context, data_note
from secondorder.plotting.style import PAGE_INCHES, RunStyle, run_styles

_ROWS = {"training_loss": "Training loss", "validation_accuracy": "Validation\naccuracy (%)"}
_COLUMNS = {
    "epoch": "Epochs",
    "step": "Updates",
    "gradient_equivalents": "Gradient-equivalents",
    "seconds": "Training seconds",
}
_LOGARITHMIC = ("step", "gradient_equivalents", "seconds")
_MARKERS_PER_CURVE = 6


def caption(context: Context) -> str:
    """Return what the figure shows."""
    return (
        f"Training on {context.problem}: mean over seeds and {context.confidence:.0%} confidence band of the training loss "
        "(without penalty) and of the validation accuracy. The dashed line is the target; a cross marks a curve that ends "
        "because a seed diverged. Axes other than epochs are logarithmic and leave out the start."
    )


def draw(tables: Mapping[str, pd.DataFrame], context: Context) -> Figure:
    """Draw the mean over seeds with its confidence band, one column of panels per unit of cost.

    Args:
        tables: The aggregated tables ``curves`` and ``seeds``.
        context: Names the problem.
    """
    curves = tables["curves"][tables["curves"]["problem"] == context.problem]
    seeds = tables["seeds"][tables["seeds"]["problem"] == context.problem]
    styles = run_styles(list(context.labels))
    runs = [run for run in context.labels if run in set(curves["run"])]
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
    handles = [
        plt.Line2D([], [], color=styles[run].color, marker=styles[run].marker, linestyle=styles[run].linestyle)
        for run in runs
    ]
    figure.legend(handles, [context.labels[run] for run in runs], loc="outside upper center", ncols=min(len(runs), 6))
    note = data_note(seeds)
    if note:
        figure.text(0.995, 0.005, note, ha="right", va="bottom", fontsize=6, color="firebrick")
        figure.get_layout_engine().set(rect=(0, 0.035, 1, 0.965))
    return figure


def _draw_curve(
    axes: Axes, curve: pd.DataFrame, position: str, metric: str, style: RunStyle, ends_early: bool
) -> None:
    if position in _LOGARITHMIC:
        curve = curve[curve["epoch"] > 0]
    scale = 100 if metric == "validation_accuracy" else 1
    x, mean = curve[position], curve["mean"] * scale
    axes.fill_between(x, curve["ci_low"] * scale, curve["ci_high"] * scale, color=style.color, alpha=0.2, linewidth=0)
    axes.plot(
        x,
        mean,
        color=style.color,
        linestyle=style.linestyle,
        marker=style.marker,
        markevery=max(1, len(curve) // _MARKERS_PER_CURVE),
    )
    if ends_early and len(curve):
        axes.plot(x.iloc[-1:], mean.iloc[-1:], color=style.color, marker="x", markersize=7, linestyle="none")


def _label_axes(axes: "list[list[Axes]]", context: Context) -> None:
    for row, label in enumerate(_ROWS.values()):
        axes[row][0].set_ylabel(label)
    for column, (position, label) in enumerate(_COLUMNS.items()):
        bottom = axes[-1][column]
        bottom.set_xlabel(label)
        if position in _LOGARITHMIC:
            bottom.set_xscale("log")
        else:
            bottom.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=5))
        target = context.targets[str(context.problem)] * 100
        bottom.axhline(target, color="0.4", linewidth=0.8, linestyle=(0, (4, 3)))
    axes[0][0].set_yscale("log")


