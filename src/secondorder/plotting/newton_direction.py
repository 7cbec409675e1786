"""How near the Newton directions of approximations are to the exact one, along training."""

from collections.abc import Mapping

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from secondorder.plotting.style import PAGE_INCHES, run_styles, write_note
from secondorder.presentation import Context, data_note
from secondorder.statistics.approximations import summarise_approximations, with_labels

_INCHES_PER_ROW = 0.16
_SPREAD = 0.7


def caption(context: Context) -> str:
    """Return what the figure shows."""
    return (
        "Cosine between the damped Newton direction −(|M| + μ)⁻¹ g of each approximation M and that of the exact "
        "Hessian, for networks at several shares of their budget: 1 is the same direction, below 0 it goes the other "
        "way. Without curvature, M = 0, it is the direction of gradient descent. Means over runs, seeds and batches "
        f"with {context.confidence:.0%} confidence intervals over seeds, where there are several; of few seeds they "
        "are too narrow."
    )


def draw(tables: Mapping[str, pd.DataFrame], context: Context) -> Figure:
    """Draw a panel per problem, a row per method and effort, a marker per share of the budget.

    Args:
        tables: The table ``approximations``.
        context: Gives the confidence level.
    """
    rows = with_labels(tables["approximations"])
    known = rows["label"].isin(rows.dropna(subset=["direction_cosine"])["label"])
    rows = rows[known & (rows["kind"] != "exact")]
    means = with_labels(summarise_approximations(rows, ["problem", "share"], ["direction_cosine"], context.confidence))
    labels, problems = list(rows["label"].unique()), list(rows["problem"].unique())
    shares = sorted(rows["share"].unique())
    styles = run_styles([f"{share:.0%}" for share in shares])
    figure, axes = plt.subplots(
        1,
        len(problems),
        figsize=(PAGE_INCHES, 0.9 + _INCHES_PER_ROW * len(labels)),
        sharex=True,
        sharey=True,
        squeeze=False,
    )
    for panel, problem in zip(axes[0], problems, strict=True):
        for place, share in enumerate(shares):
            chosen = means[(means["problem"] == problem) & (means["share"] == share)]
            style = styles[f"{share:.0%}"]
            offset = _SPREAD * ((place + 0.5) / len(shares) - 0.5)
            positions = [labels.index(label) + offset for label in chosen["label"]]
            panel.hlines(
                positions,
                chosen["direction_cosine_low"],
                chosen["direction_cosine_high"],
                color=style.color,
                linewidth=0.9,
            )
            panel.plot(
                chosen["direction_cosine"],
                positions,
                color=style.color,
                marker=style.marker,
                markersize=3.5,
                linestyle="none",
                label=f"{share:.0%} of the budget",
            )
        panel.axvline(1, color="0.4", linewidth=0.8, linestyle=(0, (4, 3)))
        panel.set_yticks(range(len(labels)), labels)
        panel.set_ylim(len(labels) - 0.5, -0.5)
        panel.tick_params(axis="y", length=0)
        panel.grid(visible=False, axis="y")
        panel.set_title(problem)
        panel.locator_params(axis="x", nbins=4)
        panel.set_xlabel(f"Cosine to the exact direction, μ = {rows['damping'].max():g}")
    handles, names = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside upper center", ncols=4)
    write_note(figure, data_note(tables["approximations"]))
    return figure
