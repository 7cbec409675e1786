"""The work that each run takes to the minimum of quadratics, over how ill-conditioned they are."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from secondorder.plotting.run_groups import draw_work_against
from secondorder.presentation import Context

_SLOPES = {1.0: r"$\propto\kappa$", 0.5: r"$\propto\sqrt{\kappa}$"}

_FOOT = 3.0
"""Where the slopes begin; only their directions mean something."""


def caption(context: Context) -> str:  # noqa: ARG001
    """Return what the figure shows."""
    return (
        "Work until the gap to the minimum of a quadratic is a small share of the first one, against the condition "
        "number κ of its Hessian. Each point is the best of equally many trials of a run on this quadratic. Points on "
        "the dashed line: the gap was not reached within the budget. Grey: slopes of gradient descent (κ) and of "
        "accelerated methods (√κ). Runs that refuse the quadratics are left out."
    )


def draw(tables: Mapping[str, pd.DataFrame], context: Context) -> Figure:
    """Draw a panel per group of runs.

    Args:
        tables: The table ``landscape_outcomes``.
        context: Gives labels and order.
    """
    outcomes = tables["landscape_outcomes"]
    quadratics = outcomes[(outcomes["kind"] == "quadratic") & (outcomes["status"] != "refused")]
    # The one in two dimensions is there to be looked at.
    shown = quadratics[quadratics["dimension"] > 2]
    reached = shown.assign(work=shown["gradient_equivalents"].where(shown["status"] == "reached"))
    budget = float(shown["gradient_equivalents"].max())
    figure, panels = draw_work_against(reached, "condition", "work", budget, context)
    conditions = np.array([shown["condition"].min(), shown["condition"].max()])
    for panel in panels:
        limits = panel.get_ylim()
        for slope, name in _SLOPES.items():
            panel.plot(conditions, _FOOT * (conditions / conditions[0]) ** slope, color="0.75", linewidth=0.8, zorder=1)
            # A third of the way, below what the steeper slope crosses.
            place = conditions[0] ** (2 / 3) * conditions[1] ** (1 / 3)
            height = _FOOT * (place / conditions[0]) ** slope
            panel.annotate(name, (place, height), ha="left", va="top", fontsize=7, color="0.5")
        panel.set_ylim(limits)
        panel.set_xlabel("Condition number κ")
        panel.label_outer()
    panels[0].set_ylabel("Gradient-equivalents")
    return figure
