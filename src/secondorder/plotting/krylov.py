"""What Newton-Krylov does in its steps: products, why conjugate gradients end, predictions, and step lengths."""

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from secondorder.plotting.style import PAGE_INCHES, RunStyle, family_styles, is_short, write_note, write_plain_numbers
from secondorder.presentation import Context, data_note
from secondorder.statistics.krylov import ENDS
from secondorder.statistics.names import OF_OPTIMIZER

_ENDS = tuple(ENDS.values())
_BINS = 40
_POINTS = 1500
_INCHES_PER_RUN = 1.45


def caption(context: Context) -> str:
    """Return what the figure shows."""
    return (
        f"Steps of Newton-Krylov on {context.problem}, all seeds together, along training in gradient-equivalents. "
        "Left: Hessian-vector products of one step, mean; the share of steps by why conjugate gradients ended. Middle: "
        "the decrease of the mini-batch loss that was measured against the one predicted by the quadratic model, at "
        "the last length that was tried, evenly spaced steps; below the diagonal the model promised too much. Steps "
        "whose loss did not decrease cannot be shown on this scale; their share is written. Right: step length, the "
        "median and the middle 80% of steps that were taken."
    )


def draw(tables: Mapping[str, pd.DataFrame], context: Context) -> Figure:
    """Draw a row of panels per run.

    Args:
        tables: The aggregated tables ``krylov`` and ``seeds``.
        context: Names the problem and the runs' optimizers.
    """
    steps = tables["krylov"][tables["krylov"]["problem"] == context.problem]
    seeds = tables["seeds"][tables["seeds"]["problem"] == context.problem]
    drawn = set(steps["run"])
    runs = [run for run in context.main_runs if context.optimizers.get(run) == OF_OPTIMIZER["krylov"] and run in drawn]
    styles = family_styles(context.main_runs, context.families)
    colors = dict(zip(_ENDS, sns.color_palette("Set2", len(_ENDS)), strict=True))
    figure, axes = plt.subplots(
        max(len(runs), 1), 4, figsize=(PAGE_INCHES, 0.9 + _INCHES_PER_RUN * max(len(runs), 1)), squeeze=False
    )
    found = [end for end in _ENDS if end in set(steps[steps["run"].isin(runs)]["krylov_end"])]
    for panels, run in zip(axes, runs, strict=False):
        products, ends, changes, lengths = panels
        own = in_bins(steps[steps["run"] == run])
        middles = own.groupby("bin")["gradient_equivalents"].mean()
        _draw_products(products, own, middles, styles[run])
        _draw_ends(ends, own, middles, colors, found)
        _draw_changes(changes, own, styles[run])
        _draw_lengths(lengths, own, middles, styles[run])
        products.set_ylabel(f"{context.labels[run]}\nproducts per step")
        ends.set_ylabel("Steps (%)")
        changes.set_ylabel("Measured decrease")
        lengths.set_ylabel("Step length")
    for place, panel in enumerate(axes[-1]):
        panel.set_xlabel("Predicted decrease" if place == 2 else "Gradient-equivalents")
    handles = [Patch(color=colors[end]) for end in found]
    if handles:
        figure.legend(handles, found, loc="outside upper center", ncols=len(handles))
    write_note(figure, data_note(seeds))
    return figure


def in_bins(steps: pd.DataFrame) -> pd.DataFrame:
    """Return the steps with the column ``bin``: equal parts of the work of the whole training, numbered from 0."""
    work = steps["gradient_equivalents"]
    width = work.max() / _BINS if len(steps) else 1.0
    return steps.assign(bin=np.minimum((work / width).astype(int), _BINS - 1))


def _draw_products(panel: Axes, steps: pd.DataFrame, middles: "pd.Series[float]", style: RunStyle) -> None:
    panel.plot(middles, steps.groupby("bin")["krylov_products"].mean(), color=style.color)
    panel.set_ylim(bottom=0)


def _draw_ends(
    panel: Axes,
    steps: pd.DataFrame,
    middles: "pd.Series[float]",
    colors: Mapping[str, tuple[float, float, float]],
    found: list[str],
) -> None:
    shares = pd.crosstab(steps["bin"], steps["krylov_end"], normalize="index").reindex(columns=found, fill_value=0)
    panel.stackplot(middles, *(100 * shares[end] for end in found), colors=[colors[end] for end in found], linewidth=0)
    panel.set_ylim(0, 100)
    panel.margins(x=0)


def _draw_changes(panel: Axes, steps: pd.DataFrame, style: RunStyle) -> None:
    measured = steps[steps["predicted_change"].notna() & steps["actual_change"].notna()]
    shown = measured[(measured["predicted_change"] < 0) & (measured["actual_change"] < 0)]
    panel.set_xscale("log")
    panel.set_yscale("log")
    if shown.empty:
        return
    places = np.unique(np.linspace(0, len(shown) - 1, _POINTS).astype(int))
    points = shown.iloc[places]
    panel.plot(
        -points["predicted_change"],
        -points["actual_change"],
        color=style.color,
        marker=".",
        markersize=2.5,
        alpha=0.5,
        linestyle="none",
        rasterized=True,
    )
    ends = [-points["predicted_change"].max(), -points["predicted_change"].min()]
    panel.plot(ends, ends, color="0.4", linewidth=0.8, linestyle=(0, (4, 3)))
    for axis, limits in ((panel.xaxis, panel.get_xlim()), (panel.yaxis, panel.get_ylim())):
        if is_short(limits):
            write_plain_numbers(axis)
    panel.text(
        0.03,
        0.97,
        f"no decrease: {1 - len(shown) / len(measured):.1%}",
        transform=panel.transAxes,
        va="top",
        fontsize=6,
    )


def _draw_lengths(panel: Axes, steps: pd.DataFrame, middles: "pd.Series[float]", style: RunStyle) -> None:
    taken = steps[steps["step_size"] > 0].groupby("bin")["step_size"]
    panel.set_yscale("log")
    if not len(taken):
        return
    low, median, high = (taken.quantile(share) for share in (0.1, 0.5, 0.9))
    panel.fill_between(middles[median.index], low, high, color=style.color, alpha=0.2, linewidth=0)
    panel.plot(middles[median.index], median, color=style.color)
