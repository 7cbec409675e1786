"""Sharpness of the minima that runs find, against how the networks generalise."""

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import NullFormatter
from scipy.stats import spearmanr

from secondorder.plotting.style import PAGE_INCHES, family_styles, is_short, write_note, write_plain_numbers
from secondorder.presentation import Context, data_note

_COLUMNS = {"largest_eigenvalue": "Largest eigenvalue", "trace": "Trace"}
_INCHES_PER_ROW = 2.1


def caption(context: Context) -> str:  # noqa: ARG001
    """Return what the figure shows."""
    return (
        "Largest eigenvalue and trace of the Hessian of the loss over some training images at the end of training, "
        "against the gap between validation and training loss: one marker per seed. The number is Spearman's rank "
        "correlation over all networks of a panel, seeds of one run among them. Diverged seeds and eigenvalues that "
        "did not converge are left out, and so are values that are not positive."
    )


def draw(tables: Mapping[str, pd.DataFrame], context: Context) -> Figure:
    """Draw a row of panels per problem and a column per measure of sharpness.

    Args:
        tables: The table ``sharpness``.
        context: Gives labels.
    """
    networks = context.of_main_runs(tables["sharpness"])
    problems = list(networks["problem"].unique())
    runs = [run for run in context.main_runs if run in set(networks["run"])]
    styles = family_styles(context.main_runs, context.families)
    figure, axes = plt.subplots(
        len(problems),
        len(_COLUMNS),
        figsize=(PAGE_INCHES, 0.5 + _INCHES_PER_ROW * len(problems)),
        sharey="row",
        squeeze=False,
    )
    for row, problem in enumerate(problems):
        for column, (measure, label) in enumerate(_COLUMNS.items()):
            panel = axes[row, column]
            shown = networks[(networks["problem"] == problem) & (networks[measure] > 0)]
            for run in runs:
                of_run = shown[shown["run"] == run]
                panel.plot(
                    of_run[measure],
                    of_run["loss_gap"],
                    color=styles[run].color,
                    marker=styles[run].marker,
                    markersize=4.5,
                    linestyle="none",
                )
            _write_correlation(panel, shown, measure)
            panel.set_xscale("log")
            panel.set_xlabel(label)
            if is_short(panel.get_xlim()):
                write_plain_numbers(panel.xaxis)
            panel.xaxis.set_minor_formatter(NullFormatter())
        axes[row, 0].set_ylabel(f"{problem}:\nvalidation - training loss")
    handles = [Line2D([], [], color=styles[run].color, marker=styles[run].marker, linestyle="none") for run in runs]
    figure.legend(handles, [context.labels[run] for run in runs], loc="outside upper center", ncols=min(len(runs), 5))
    write_note(figure, data_note(networks))
    return figure


def _write_correlation(axes: Axes, shown: pd.DataFrame, measure: str) -> None:
    if len(shown) < 3 or min(shown[measure].nunique(), shown["loss_gap"].nunique()) < 2:
        return
    correlation = float(spearmanr(shown[measure], shown["loss_gap"]).statistic)
    if np.isfinite(correlation):
        axes.set_title(f"rank correlation {correlation:.2f} over {len(shown)} networks", loc="right", fontsize=7)
