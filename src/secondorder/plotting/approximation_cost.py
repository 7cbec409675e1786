"""What approximations of the Hessian cost against what they keep of it."""

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from secondorder.plotting.approximation_kinds import BASELINE, method_styles
from secondorder.plotting.style import PAGE_INCHES, RunStyle, write_note
from secondorder.presentation import Context, data_note
from secondorder.statistics.approximations import summarise_approximations

_ERRORS = {
    "leading_error": "Leading eigenvalue",
    "density_distance": "Spectral density",
    "matrix_error": "Matrix",
    "direction_error": "Newton direction",
}
_COSTS = {"gradient_equivalents": "Gradient-equivalents", "seconds": "Seconds", "mebibytes": "Memory (MiB)"}
# What the process has free already is not seen to grow.
_LEAST_MEMORY = 2**-6
# What is beyond is as good as exact, or useless.
_LEAST_ERROR, _GREATEST_ERROR = 1e-3, 10.0
# The products under it are compared in figures of their own.
_ITERATION = "ARPACK"
_SHOWN_PRODUCT = "ARPACK, R-operator"
_KEYS = ["problem", "run", "seed", "share", "sample", "method", "effort"]


def caption(context: Context) -> str:
    """Return what the figure shows."""
    return (
        f"What methods find out of Hessians on {context.problem} against what they cost, at the end of training: the "
        "relative error of the eigenvalue of largest size; the Wasserstein distance of the spectral densities, "
        "relative to that of a matrix of zeros; the relative Frobenius error of the matrix; and 1 − cosine of the "
        f"damped Newton direction. At the bottom are errors of at most {_LEAST_ERROR:g}, such as those of the exact "
        f"Hessian itself, at the top those of at least {_GREATEST_ERROR:g}. The colour is that of the kind of method: "
        "exact, iterative, stochastic, structured. Gradient-equivalents are multiplications over those of a gradient "
        "of the same batch, without the work of ARPACK on its own vectors; seconds are of one core that other work may "
        "share; memory is by how much the process grew. The diagonal and the low ranks are made of the exact Hessian "
        "and cost as much. Means over runs, seeds and batches; lines join the efforts of a method; what it does not "
        "give of every Hessian is left out; a hollow marker is an iteration that has not converged on every one. On "
        "the dashed line is no curvature at all."
    )


def draw(tables: Mapping[str, pd.DataFrame], context: Context) -> Figure:
    """Draw a row of panels per cost, a column per error.

    Args:
        tables: The tables ``approximations`` and ``approximations_timing``.
        context: Names the problem and gives the confidence level.
    """
    measured = tables["approximations"][tables["approximations"]["problem"] == context.problem]
    timed = tables["approximations_timing"][[*_KEYS, "seconds", "memory_bytes"]]
    joined = measured.merge(timed, on=_KEYS, how="left")
    shown = ~joined["method"].str.startswith(_ITERATION) | (joined["method"] == _SHOWN_PRODUCT)
    last = joined[shown & (joined["share"] == joined["share"].max())]
    memory = (last["memory_bytes"] / 2**20).clip(lower=_LEAST_MEMORY)
    last = last.assign(direction_error=1 - last["direction_cosine"], mebibytes=memory)
    means = summarise_approximations(last, [], [*_ERRORS, *_COSTS], context.confidence)
    means = means.dropna(subset=list(_ERRORS), how="all")
    baseline = means[means["method"] == BASELINE]
    means = means[means["method"] != BASELINE]
    styles = method_styles(means)
    figure, axes = plt.subplots(
        len(_COSTS), len(_ERRORS), figsize=(PAGE_INCHES, 6.2), sharex="row", sharey=True, squeeze=False
    )
    for row, (cost, label) in enumerate(_COSTS.items()):
        for panel, error in zip(axes[row], _ERRORS, strict=True):
            for value in baseline[error]:
                panel.axhline(value, color="0.4", linewidth=0.8, linestyle=(0, (4, 3)))
            for method, style in styles.items():
                _draw_method(panel, means[means["method"] == method], cost, error, style)
            panel.set_xscale("log")
            panel.set_yscale("log")
            panel.set_ylim(0.6 * _LEAST_ERROR, 1.7 * _GREATEST_ERROR)
            panel.minorticks_off()
            panel.set_xlabel(label)
    for panel, title in zip(axes[0], _ERRORS.values(), strict=True):
        panel.set_title(title)
    for row in axes:
        row[0].set_ylabel("Error")
    handles = [
        Line2D([], [], color=style.color, marker=style.marker, linestyle=style.linestyle) for style in styles.values()
    ]
    figure.legend(handles, list(styles), loc="outside upper center", ncols=4, fontsize=7)
    write_note(figure, data_note(measured))
    return figure


def _draw_method(axes: Axes, rows: pd.DataFrame, cost: str, error: str, style: RunStyle) -> None:
    shown = rows.dropna(subset=[error]).sort_values("effort")
    if shown.empty:
        return
    values = shown[error].clip(_LEAST_ERROR, _GREATEST_ERROR)
    axes.plot(shown[cost], values, color=style.color, linestyle=style.linestyle, linewidth=0.9)
    whole = (shown["converged"] == shown["hessians"]).to_numpy()
    for converged in (True, False):
        chosen = np.flatnonzero(whole == converged)
        axes.plot(
            shown[cost].iloc[chosen],
            values.iloc[chosen],
            color=style.color,
            marker=style.marker,
            markersize=4,
            markerfacecolor=style.color if converged else "white",
            linestyle="none",
        )
