"""What the closed form and the dense matrix cost as a network grows, and the error of the closed form."""

import math
from collections.abc import Mapping

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from secondorder.plotting.style import PAGE_INCHES, RunStyle, run_styles, write_note
from secondorder.presentation import Context, data_note

_METHODS = {"exact": "closed form", "dense": "dense matrix"}
_LIMIT = {"color": "0.4", "linewidth": 0.8, "linestyle": (0, (4, 3))}


def caption(context: Context) -> str:
    """Return what the figure shows."""
    shared = "" if context.exclusive else " Other jobs shared the machine."
    return (
        "All eigenvalues of one sample's Hessian and the absolute Newton direction, for perceptrons with two hidden "
        "layers of growing width, on one thread in float64: the closed form against the dense matrix. Seconds are "
        "medians, the band reaches from the fastest to the slowest repetition; memory is the peak above what the "
        "process held before. Right of the dashed line the dense matrix does not fit into the memory it is allowed. "
        "Error: largest difference of eigenvalues to the dense matrix, and largest residual of the ten largest "
        "eigenvalues by Hessian-vector products, which needs no dense matrix, both relative to the largest "
        f"eigenvalue.{shared}"
    )


def draw(tables: Mapping[str, pd.DataFrame], context: Context) -> Figure:  # noqa: ARG001
    """Draw seconds, memory and errors against the number of parameters.

    Args:
        tables: The tables ``growth`` and ``growth_timing``.
        context: Not used.
    """
    growth, timing = tables["growth"], tables["growth_timing"]
    styles = run_styles(list(_METHODS))
    figure, axes = plt.subplots(1, 3, figsize=(PAGE_INCHES, 2.3), squeeze=False)
    seconds, memory, error = axes[0]
    for method, label in _METHODS.items():
        measured = timing[(timing["method"] == method) & timing["seconds"].notna()]
        style = styles[method]
        seconds.fill_between(
            measured["parameters"], measured["fastest"], measured["slowest"], color=style.color, alpha=0.2, linewidth=0
        )
        _draw_line(seconds, measured, "seconds", style, label)
        _draw_line(memory, measured.assign(memory_bytes=measured["memory_bytes"] / 2**20), "memory_bytes", style, label)
    exact = growth[growth["method"] == "exact"]
    compared, certified = run_styles(["", "", "compared", "certified"])["compared"], styles["exact"]
    _draw_line(error, exact, "certificate", certified, "residual of the closed form")
    _draw_line(
        error,
        exact[exact["eigenvalue_error"].notna()],
        "eigenvalue_error",
        compared,
        "its difference to the dense matrix",
    )
    for panel, label in zip(axes[0], ("Seconds", "Peak memory (MiB)", "Relative error"), strict=True):
        panel.set_xscale("log")
        panel.set_yscale("log")
        panel.set_xlabel("Parameters")
        panel.set_ylabel(label)
    if (growth["status"] == "does not fit").any():
        # Both columns belong to the same matrix: P where 8 P² is the limit.
        largest = (growth["parameters"] * (growth["memory_limit_bytes"] / growth["matrix_bytes"]) ** 0.5).iloc[0]
        for panel in (seconds, memory):
            panel.axvline(largest, **_LIMIT)
    low, high = error.get_ylim()
    error.set_ylim(10 ** (math.floor(math.log10(low)) - 1), 10 ** (math.ceil(math.log10(high)) + 1))
    handles = [*seconds.get_lines()[: len(_METHODS)], *error.get_lines()]
    figure.legend(handles, [str(line.get_label()) for line in handles], loc="outside upper center", ncols=len(handles))
    write_note(figure, data_note(growth))
    return figure


def _draw_line(axes: Axes, rows: pd.DataFrame, column: str, style: RunStyle, label: str) -> None:
    axes.plot(
        rows["parameters"],
        rows[column],
        color=style.color,
        marker=style.marker,
        linestyle=style.linestyle,
        label=label,
    )
