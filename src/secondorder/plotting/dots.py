"""Dots in rows: a row per run, families together, with ranges over seeds."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from secondorder.families import FAMILIES
from secondorder.plotting.style import RunStyle
from secondorder.presentation import Context

INCHES_PER_ROW = 0.155
_BESIDE = 1.5


def in_families(runs: Sequence[str], context: Context) -> list[str]:
    """Return runs in the order of their families, and within one in that of the configuration."""
    families = list(FAMILIES)
    return sorted(runs, key=lambda run: families.index(context.families.get(run, "other")))


def name_rows(axes: Axes, runs: Sequence[str], context: Context) -> None:
    """Write the runs' names beside their rows, the first on top, and draw a line between families."""
    axes.set_yticks(range(len(runs)), [context.labels[run] for run in runs])
    axes.set_ylim(len(runs) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    axes.grid(visible=False, axis="y")
    families = [context.families.get(run, "other") for run in runs]
    for place in range(1, len(runs)):
        if families[place] != families[place - 1]:
            axes.axhline(place - 0.5, color="0.8", linewidth=0.5)


def draw_ranges(
    axes: Axes, rows: pd.DataFrame, column: str, runs: Sequence[str], styles: Mapping[str, RunStyle]
) -> None:
    """Draw each run's median and its range over seeds on a logarithmic axis.

    An infinite median is a cross at the right edge, and a range to infinity goes there.

    Args:
        axes: Where.
        rows: A row per run, with the column and those of its ends, ``_min`` and ``_max``.
        column: What to draw.
        runs: The runs, in the order of their rows.
        styles: Of the runs.
    """
    names = [column, f"{column}_min", f"{column}_max"]
    found = rows.set_index("run")[names].astype(float)
    values = found.to_numpy()
    finite = values[np.isfinite(values)]
    # Without any hit there is nothing to be beside of.
    edge = _BESIDE * (finite.max() if len(finite) else 1.0)
    axes.set_xscale("log")
    for place, run in enumerate(runs):
        if run not in found.index:
            continue
        style = styles[run]
        middle, low, high = (min(float(found[name][run]), edge) for name in names)
        axes.plot([low, high], [place, place], color=style.color, linewidth=1.2)
        missed = middle == edge
        axes.plot(
            [middle],
            [place],
            color=style.color,
            marker="x" if missed else style.marker,
            markersize=4.5,
            linestyle="none",
        )
