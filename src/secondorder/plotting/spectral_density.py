"""The spectral density of Hessians along training, exact and approximate."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from secondorder.plotting.approximation_kinds import greatest_effort
from secondorder.plotting.style import PAGE_INCHES, RunStyle, run_styles, write_note
from secondorder.presentation import Context, data_note

_SHOWN = ("exact", "Lanczos quadrature", "Gauss-Newton", "K-FAC", "diagonal")
_HEIGHT_INCHES = 1.5


def caption(context: Context) -> str:
    """Return what the figure shows."""
    return (
        f"How the eigenvalues of Hessians on {context.problem} are distributed along training: the share of all "
        "eigenvalues that lie in each quarter of a decade, negative ones on the left and positive ones on the right. "
        "Nearly all are 0, as a batch is small, and are not shown; Lanczos quadrature gives them "
        "small values instead. Means over runs, seeds and batches."
    )


def draw(tables: Mapping[str, pd.DataFrame], context: Context) -> Figure:
    """Draw a row of panels per share of the budget, negative eigenvalues left, positive right.

    Args:
        tables: The table ``approximate_densities``.
        context: Names the problem.
    """
    rows = tables["approximate_densities"]
    rows = rows[(rows["problem"] == context.problem) & rows["method"].isin(_SHOWN)]
    rows = greatest_effort(rows)
    shares = sorted(rows["share"].unique())
    methods = [method for method in _SHOWN if method in set(rows["method"])]
    styles = run_styles(methods)
    figure, axes = plt.subplots(
        len(shares),
        2,
        figsize=(PAGE_INCHES, 0.8 + _HEIGHT_INCHES * len(shares)),
        sharex="col",
        sharey=True,
        squeeze=False,
    )
    for panels, share in zip(axes, shares, strict=True):
        of_share = rows[rows["share"] == share]
        for method in methods:
            of_method = of_share[of_share["method"] == method]
            hessians = len(of_method[["run", "seed", "sample"]].drop_duplicates())
            _draw_density(panels, of_method, hessians, styles[method], method)
        panels[0].set_ylabel(f"{share:.0%} of the budget:\nshare of eigenvalues")
    for panel in axes.flat:
        panel.set_yscale("log")
        panel.set_xscale("log")
        panel.minorticks_off()
    for panel in axes[:, 0]:
        panel.set_xlim(max(panel.get_xlim()), min(panel.get_xlim()))
    axes[-1, 0].set_xlabel("−λ (negative eigenvalues)")
    axes[-1, 1].set_xlabel("λ (positive eigenvalues)")
    handles, names = axes[0, 1].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside upper center", ncols=len(methods))
    write_note(figure, data_note(rows))
    return figure


def _draw_density(panels: Sequence[Axes], rows: pd.DataFrame, hessians: int, style: RunStyle, label: str) -> None:
    for panel, sign in zip(panels, (-1, 1), strict=True):
        near, far = (rows["high"], rows["low"]) if sign < 0 else (rows["low"], rows["high"])
        chosen = rows[(sign * near > 0) & np.isfinite(far)]
        shares = chosen.groupby(["low", "high"])["weight"].sum() / hessians
        middle = [np.sqrt(low * high) for low, high in shares.index]
        panel.plot(
            middle,
            shares.to_numpy(),
            color=style.color,
            marker=style.marker,
            markersize=2.5,
            linestyle=style.linestyle,
            linewidth=0.9,
            label=label,
        )
