"""The paths of all runs on analytic functions of two variables, over their contours."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from secondorder.plotting.dots import in_families
from secondorder.plotting.run_groups import groups_of, name_runs
from secondorder.plotting.style import PAGE_INCHES, RunStyle, family_styles
from secondorder.presentation import Context

if TYPE_CHECKING:
    from secondorder.landscapes.functions import AnalyticFunction

_TITLES = {"quadratic": "Quadratic, κ = {condition:g}", "rosenbrock": "Rosenbrock", "strict_saddle": "Strict saddle"}
_GRID = 160
_MARGIN = 1.5
_CONTOURS = 14
_FEW_STEPS = 60


def caption(context: Context) -> str:  # noqa: ARG001
    """Return what the figure shows."""
    return (
        "Paths of the runs on functions of two variables, each the best of equally many trials at equal work, over "
        "contours at equal ratios of the gap to the minimum. Paths begin at the dot; stars are minima. A filled marker "
        "ends a path that reached the minimum within the tolerance, a hollow one a path that did not within the "
        "budget. Steps of short paths have marks. Runs that refuse a function have no path on it."
    )


def draw(tables: Mapping[str, pd.DataFrame], context: Context) -> Figure:
    """Draw a row of panels per kind of function and a column per group of runs.

    Args:
        tables: The tables ``trajectories`` and ``landscape_outcomes``.
        context: Gives labels and order.
    """
    outcomes = tables["landscape_outcomes"]
    outcomes = outcomes[outcomes["dimension"] == 2]
    functions = outcomes.drop_duplicates("kind")
    drawn = set(outcomes["run"])
    groups = groups_of(in_families([run for run in context.main_runs if run in drawn], context))
    side = PAGE_INCHES / max(len(groups), 3)
    size = side * len(groups), 0.8 + 0.9 * side * len(functions)
    figure, axes = plt.subplots(len(functions), len(groups), figsize=size, squeeze=False, sharex="row", sharey="row")
    styles = family_styles(context.main_runs, context.families)
    for row, (_, about) in zip(axes, functions.iterrows(), strict=True):
        function = _function(about)
        own = outcomes[outcomes["function"] == about["function"]].set_index("run")
        paths = tables["trajectories"][tables["trajectories"]["function"] == about["function"]]
        for panel, runs in zip(row, groups, strict=True):
            _draw_contours(panel, function)
            for run in runs:
                path = paths[paths["run"] == run]
                if len(path):
                    _draw_path(panel, path, styles[run], reached=own.loc[run, "status"] == "reached")
        row[0].set_ylabel(_TITLES[about["kind"]].format(condition=about["condition"]))
    name_runs(figure, list(axes[0]), groups, context)
    return figure


# The functions need PyTorch, which takes seconds to import, and a caption does not need them.
def _function(about: "pd.Series[Any]") -> "AnalyticFunction":
    from secondorder.landscapes.functions import KINDS

    columns = {"quadratic": ["condition", "dimension"], "strict_saddle": ["start_distance"]}.get(about["kind"], [])
    return KINDS[about["kind"]](*about[columns])


def _draw_contours(panel: Axes, function: "AnalyticFunction") -> None:
    """Draw contours in the square around the start and the minima, and these."""
    import torch

    ends = torch.cat([function.start[None], function.minimisers])
    low, high = ends.amin(dim=0), ends.amax(dim=0)
    middle, half = (low + high) / 2, _MARGIN * float((high - low).max()) / 2
    x, y = (torch.linspace(float(centre) - half, float(centre) + half, _GRID, dtype=torch.float64) for centre in middle)
    gaps = function.value(torch.cartesian_prod(x, y)).reshape(_GRID, _GRID).T.numpy()
    levels = np.geomspace(max(gaps.min(), gaps.max() * 1e-5), gaps.max(), _CONTOURS)
    panel.contour(x.numpy(), y.numpy(), gaps, levels=levels, colors="0.8", linewidths=0.5, zorder=1)
    panel.plot(*function.minimisers.T.numpy(), color="0.25", marker="*", markersize=6, linestyle="none", zorder=2)
    panel.plot(*function.start[:, None].numpy(), color="0.25", marker=".", markersize=6, linestyle="none", zorder=2)
    panel.set_xlim(x[0].item(), x[-1].item())
    panel.set_ylim(y[0].item(), y[-1].item())
    panel.set_aspect("equal")
    panel.grid(visible=False)


def _draw_path(panel: Axes, path: pd.DataFrame, style: RunStyle, *, reached: bool) -> None:
    panel.plot(
        path["x"],
        path["y"],
        color=style.color,
        linestyle=style.linestyle,
        linewidth=0.9,
        marker="." if len(path) <= _FEW_STEPS else "",
        markersize=2,
        zorder=3,
    )
    last = path.iloc[-1:]
    face = style.color if reached else "white"
    panel.plot(last["x"], last["y"], color=style.color, marker=style.marker, markerfacecolor=face, zorder=4)
