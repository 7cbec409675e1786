"""Exact eigenvalues of Hessians against those that approximations give."""

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from secondorder.plotting.approximation_kinds import BASELINE, KINDS, greatest_effort
from secondorder.plotting.style import PAGE_INCHES, run_styles, write_note
from secondorder.presentation import Context, data_note
from secondorder.statistics.approximations import with_labels

_LINEAR_SHARE = 1e-3
_TICK_DECADES = 2


def caption(context: Context) -> str:
    """Return what the figure shows."""
    return (
        f"Eigenvalues of Hessians on {context.problem}, the largest and the most negative ones of each: exact ones "
        "across, those of an approximation up, at the end of training. Methods with a choice of effort have their "
        "greatest. On the dashed line they agree. Of what an iteration has not found there is no marker. A filled one "
        "is certified: its residual by an independent product is at most 1e-12 of the largest |eigenvalue|. Axes are "
        "logarithmic but near 0, where they are linear."
    )


def draw(tables: Mapping[str, pd.DataFrame], context: Context) -> Figure:
    """Draw a panel per kind of approximation.

    Args:
        tables: The table ``approximate_eigenvalues``.
        context: Names the problem.
    """
    rows = tables["approximate_eigenvalues"]
    compared = (rows["kind"] != "exact") & (rows["method"] != BASELINE)
    rows = rows[(rows["problem"] == context.problem) & compared]
    rows = greatest_effort(rows[rows["share"] == rows["share"].max()]).dropna(subset=["approximate"])
    kinds = [kind for kind in KINDS if kind in set(rows["kind"])]
    largest = float(rows[["exact", "approximate"]].abs().max().max()) or 1.0
    top = int(np.floor(np.log10(largest)))
    ticks = [10.0**power for power in (top - _TICK_DECADES, top)]
    figure, axes = plt.subplots(1, len(kinds), figsize=(PAGE_INCHES, 3.9), sharex=True, sharey=True, squeeze=False)
    for panel, kind in zip(axes[0], kinds, strict=True):
        panel.axline((-largest, -largest), (largest, largest), color="0.4", linewidth=0.8, linestyle=(0, (4, 3)))
        handles: list[Line2D] = []
        of_kind = with_labels(rows[rows["kind"] == kind])
        for label, style in run_styles(list(of_kind["label"].unique())).items():
            group = of_kind[of_kind["label"] == label]
            for certified, part in group.groupby("certified"):
                panel.plot(
                    part["exact"],
                    part["approximate"],
                    color=style.color,
                    marker=style.marker,
                    markersize=3,
                    markerfacecolor=style.color if certified else "none",
                    markeredgewidth=0.6,
                    linestyle="none",
                )
            handles.append(
                Line2D(
                    [],
                    [],
                    color=style.color,
                    marker=style.marker,
                    markersize=3,
                    markerfacecolor="none",
                    linestyle="none",
                    label=label,
                )
            )
        for axis, set_scale in ((panel.xaxis, panel.set_xscale), (panel.yaxis, panel.set_yscale)):
            set_scale("symlog", linthresh=_LINEAR_SHARE * largest)
            axis.set_ticks([-magnitude for magnitude in ticks] + [0.0] + ticks)
        panel.set_title(kind.capitalize())
        panel.set_xlabel("Exact eigenvalue")
        panel.legend(handles=handles, loc="upper center", bbox_to_anchor=(0.5, -0.16), fontsize=7, labelspacing=0.3)
    axes[0, 0].set_ylabel("Approximate eigenvalue")
    write_note(figure, data_note(rows))
    return figure
