"""The work that each run takes to leave a strict saddle, over how close to its stable manifold it starts."""

from collections.abc import Mapping

import pandas as pd
from matplotlib.figure import Figure

from secondorder.plotting.run_groups import draw_work_against
from secondorder.presentation import Context


def caption(context: Context) -> str:  # noqa: ARG001
    """Return what the figure shows."""
    return (
        "Work until the gap to the minimum is below half of what it is at a strict saddle, against the distance of the "
        "start from the saddle's stable manifold, on which gradient descent ends in the saddle. Each point is the best "
        "of equally many trials of a run from this start: the one that comes to the minimum with the least work. On "
        "the dashed line: the saddle was not left within the budget. Gradient descent takes work in proportion to the "
        "logarithm of the distance. Runs that refuse the function are left out."
    )


def draw(tables: Mapping[str, pd.DataFrame], context: Context) -> Figure:
    """Draw a panel per group of runs.

    Args:
        tables: The table ``landscape_outcomes``.
        context: Gives labels and order.
    """
    outcomes = tables["landscape_outcomes"]
    shown = outcomes[(outcomes["kind"] == "strict_saddle") & (outcomes["status"] != "refused")]
    budget = float(shown["gradient_equivalents"].max())
    figure, panels = draw_work_against(shown, "start_distance", "escape", budget, context)
    for panel in panels:
        panel.set_xlabel("Distance from the\nstable manifold")
        panel.label_outer()
    panels[0].invert_xaxis()
    panels[0].set_ylabel("Gradient-equivalents")
    return figure
