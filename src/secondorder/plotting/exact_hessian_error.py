"""The error of the Hessian's closed form in every case, and that wrong Hessians are found out."""

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from secondorder.plotting.style import PAGE_INCHES, RunStyle, run_styles, write_note
from secondorder.presentation import Context, data_note

_COLUMNS = {
    "eigenvalue_error": "Eigenvalue error",
    "matrix_error": "Matrix error",
    "direction_error": "Direction error per condition",
}
_ACTIVATIONS = {"relu": "ReLU", "tanh": "tanh", "gelu": "GELU", "softplus": "softplus"}
_LOSSES = {"cross_entropy": "cross-entropy", "mean_squared_error": "squared error"}
_SMALLEST = 1e-18
_TICKS = (1e-16, 1e-12, 1e-8, 1e-4, 1)
_INCHES_PER_ROW = 0.19
_WITHIN_ROW = 0.16


def caption(context: Context) -> str:  # noqa: ARG001
    """Return what the figure shows."""
    return (
        "The closed form of the Hessian against the dense matrix of automatic differentiation in float64, on real "
        "images, for each activation. Eigenvalue and matrix errors are relative to the largest eigenvalue, direction "
        "errors to the direction's length and the condition number of what it solves. A case passes left of the black "
        "ticks (the strictest of a row), which lie further right on fitted samples, where 1 - p is what training left "
        "of the loss's derivative. Hessians that are wrong on purpose, below the line, have to lie right of them."
    )


def draw(tables: Mapping[str, pd.DataFrame], context: Context) -> Figure:  # noqa: ARG001
    """Draw a row per kind of case and a panel per error.

    Args:
        tables: The table ``exact_hessian``.
        context: Not used.
    """
    cases = tables["exact_hessian"].assign(row=lambda frame: [_row_label(case) for _, case in frame.iterrows()])
    cases = pd.concat([cases[cases["control"] == ""], cases[cases["control"] != ""]])
    rows = list(cases["row"].unique())
    styles = run_styles(list(_ACTIVATIONS))
    figure, axes = plt.subplots(
        1,
        len(_COLUMNS),
        figsize=(PAGE_INCHES, 0.9 + _INCHES_PER_ROW * len(rows)),
        sharex=True,
        sharey=True,
        squeeze=False,
    )
    for panel, (column, label) in zip(axes[0], _COLUMNS.items(), strict=True):
        _draw_errors(panel, cases, rows, column, styles)
        panel.set_xscale("log")
        panel.set_xlabel(label)
        panel.set_xticks(_TICKS)
        panel.grid(visible=False, axis="y")
    axes[0, 0].set_yticks(range(len(rows)), rows)
    axes[0, 0].set_ylim(len(rows) - 0.5, -0.5)
    handles = [
        Line2D([], [], color=styles[name].color, marker=styles[name].marker, linestyle="none") for name in _ACTIVATIONS
    ]
    handles.append(Line2D([], [], color="black", marker="|", markersize=7, linestyle="none"))
    figure.legend(handles, [*_ACTIVATIONS.values(), "tolerance"], loc="outside upper center", ncols=5)
    write_note(figure, data_note(cases))
    return figure


def _row_label(case: "pd.Series[float]") -> str:
    if case["control"]:
        return f"wrong: {case['control']}, {_LOSSES[str(case['loss'])]}"
    if not np.isnan(case["fitted"]):
        return f"{case['network']}, fitted to 1 - p = {case['fitted']:.0e}"
    samples = "1 sample" if case["samples"] == 1 else f"{case['samples']} samples"
    return f"{case['network']}, {_LOSSES[str(case['loss'])]}, {samples}"


def _draw_errors(axes: Axes, cases: pd.DataFrame, rows: list[str], column: str, styles: Mapping[str, RunStyle]) -> None:
    for place, (activation, style) in enumerate(styles.items()):
        chosen = cases[(cases["activation"] == activation) & cases[column].notna()]
        heights = [rows.index(row) + _WITHIN_ROW * (place - (len(styles) - 1) / 2) for row in chosen["row"]]
        axes.plot(
            chosen[column].clip(lower=_SMALLEST), heights, color=style.color, marker=style.marker, linestyle="none"
        )
    first_control = next((place for place, row in enumerate(rows) if row.startswith("wrong")), len(rows))
    for row, allowed in cases.groupby("row")["tolerance"].min().items():
        axes.plot([allowed], [rows.index(str(row))], color="black", marker="|", markersize=9, linestyle="none")
    axes.axhline(first_control - 0.5, color="0.4", linewidth=0.8)
