"""The spectrum of the exact Hessian of a trained network, along training."""

from collections.abc import Mapping
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from secondorder.plotting.style import PAGE_INCHES, run_styles, write_note
from secondorder.presentation import Context, data_note

_FLOOR = 1e-12
_INCHES_PER_ROW = 1.35


def caption(context: Context) -> str:
    """Return what the figure shows."""
    return (
        f"Every eigenvalue of the exact Hessian on {context.problem}, of the loss of one fixed training sample and of "
        "one fixed small batch, at shares of the training budget of each run's first seed: magnitudes in descending "
        "order, positive and negative apart. Eigenvalues below 1e-12 of the largest count as zero and are left out; "
        "all others that are not drawn are exactly zero."
    )


def draw(tables: Mapping[str, pd.DataFrame], context: Context) -> Figure:
    """Draw a row of panels per run and kind of Hessian, and a column per share of the budget.

    Args:
        tables: The table ``spectrum``.
        context: Names the problem.
    """
    spectrum = tables["spectrum"][tables["spectrum"]["problem"] == context.problem]
    spectrum = spectrum[spectrum["sample"] == 0]
    runs = [run for run in context.labels if run in set(spectrum["run"])]
    rows = [(run, kind) for run in runs for kind in spectrum["kind"].unique()]
    shares = sorted(spectrum["share"].unique())
    figure, axes = plt.subplots(
        max(1, len(rows)),
        max(1, len(shares)),
        figsize=(PAGE_INCHES, 0.6 + _INCHES_PER_ROW * max(1, len(rows))),
        sharex="row",
        sharey="row",
        squeeze=False,
    )
    for place, (run, kind) in enumerate(rows):
        of_row = spectrum[(spectrum["run"] == run) & (spectrum["kind"] == kind)]
        samples = int(of_row["samples"].max())
        axes[place, 0].set_ylabel(f"{context.labels[run]}, {'1 sample' if samples == 1 else f'{samples} samples'}")
        for column, share in enumerate(shares):
            _draw_spectrum(axes[place, column], of_row[of_row["share"] == share])
    for column, share in enumerate(shares):
        axes[0, column].set_title(f"{100 * share:g}% of the budget")
        axes[-1, column].set_xlabel("Number of the eigenvalue")
    handles = [Line2D([], [], linestyle="none", **{**look, "markersize": 5}) for look in _looks().values()]
    figure.legend(handles, ["positive", "negative (magnitude)"], loc="outside upper center", ncols=2)
    write_note(figure, data_note(spectrum))
    return figure


def _draw_spectrum(axes: Axes, rows: pd.DataFrame) -> None:
    axes.set_yscale("log")
    values = rows["eigenvalue"].to_numpy()
    if not len(values):
        return
    floor = _FLOOR * np.abs(values).max()
    for sign, signed in (("positive", values), ("negative", -values)):
        sizes = np.sort(signed[signed > floor])[::-1]
        axes.plot(np.arange(1, len(sizes) + 1), sizes, linestyle="none", **_looks()[sign])


def _looks() -> dict[str, dict[str, Any]]:
    """Return how each sign is drawn: most eigenvalues come in pairs of both, so one has to show through the other."""
    styles = run_styles(["positive", "negative"])
    return {
        "positive": {"color": styles["positive"].color, "marker": "o", "markersize": 1.5},
        "negative": {
            "color": styles["negative"].color,
            "marker": "s",
            "markersize": 2.4,
            "markerfacecolor": "none",
            "markeredgewidth": 0.35,
        },
    }
