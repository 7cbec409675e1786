"""One visual style for all figures."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import matplotlib as mpl
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

from secondorder.families import FamilyName

PAGE_INCHES = 7.1
"""Width of a figure over both columns of a two-column page."""

OTHER_RUNS = "0.82"
"""Colour of the runs that a panel shows for comparison alone."""

_MARKERS_PER_CURVE = 6
_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "p")
Dash = Literal["-", "--", ":", "-."]
_DASHES: tuple[Dash, ...] = ("-", "--", ":")
_MEMBER_DASHES: tuple[Dash, ...] = ("-", "--", "-.", ":")
# How far members of a family are from its colour: towards black where below 0, towards white where above.
_MEMBER_SHADES = (0.0, -0.45, 0.3, -0.7, 0.5)
# Places in seaborn's colour-blind safe palette, by family. The three yellow and pale ones go to small families.
_FAMILY_COLORS: dict[FamilyName, int] = {
    "first_order": 0,
    "quasi_newton": 6,
    "exact_newton": 3,
    "newton_krylov": 2,
    "hessian_free": 1,
    "diagonal": 9,
    "kronecker": 4,
    "low_rank": 5,
    "hybrid": 8,
    "other": 7,
}
_SETTINGS: dict[Any, Any] = {
    "axes.grid": True,
    "axes.labelsize": 8,
    "axes.linewidth": 0.6,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": 8,
    "figure.constrained_layout.use": True,
    "figure.dpi": 100,
    "font.size": 8,
    "grid.alpha": 0.35,
    "grid.linewidth": 0.5,
    "legend.fontsize": 8,
    "legend.frameon": False,
    "lines.linewidth": 1.3,
    "lines.markersize": 3.5,
    "pdf.fonttype": 42,
    "savefig.dpi": 300,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
}


Color = tuple[float, float, float]


@dataclass(frozen=True)
class RunStyle:
    """How one run is drawn in every figure."""

    color: Color
    marker: str
    linestyle: Dash


def family_styles(runs: Sequence[str], families: Mapping[str, FamilyName]) -> dict[str, RunStyle]:
    """Return the style of each run: the same in every figure of every tier.

    A family has a hue of seaborn's colour-blind safe ten. The place of a run among the members of its family decides
    shade, marker and dashes, so that a run that is appended changes no other.

    Args:
        runs: All runs, in the order of the configuration.
        families: The family of each; "other" for one that has none.
    """
    palette = sns.color_palette("colorblind", 10)
    members: Counter[FamilyName] = Counter()
    styles = {}
    for run in runs:
        family = families.get(run, "other")
        place = members[family]
        members[family] += 1
        shade = _shaded(palette[_FAMILY_COLORS[family]], _MEMBER_SHADES[place % len(_MEMBER_SHADES)])
        dash = _MEMBER_DASHES[place % len(_MEMBER_DASHES)]
        styles[run] = RunStyle(shade, _MARKERS[place % len(_MARKERS)], dash)
    return styles


def _shaded(color: Color, amount: float) -> Color:
    """Return a colour mixed with white, or with black where the amount is below 0."""
    end = 1.0 if amount > 0 else 0.0
    red, green, blue = ((1 - abs(amount)) * part + abs(amount) * end for part in color)
    return red, green, blue


def run_styles(runs: Sequence[str]) -> dict[str, RunStyle]:
    """Return styles by place alone, for what has no family: variants of one run, methods, networks.

    Colours are seaborn's colour-blind safe ten; the marker, and after ten names the dashes, tell them apart without
    colour.
    """
    colors = sns.color_palette("colorblind", 10)
    return {
        run: RunStyle(colors[place % 10], _MARKERS[place % 10], _DASHES[place // 10 % len(_DASHES)])
        for place, run in enumerate(runs)
    }


def draw_with_band(axes: Axes, curve: pd.DataFrame, style: RunStyle) -> None:
    """Draw a mean with its confidence band.

    Args:
        axes: Where.
        curve: Columns mean, ci_low and ci_high; the index is what they are drawn against.
        style: Of the run.
    """
    axes.fill_between(curve.index, curve["ci_low"], curve["ci_high"], color=style.color, alpha=0.2, linewidth=0)
    axes.plot(
        curve.index,
        curve["mean"],
        color=style.color,
        linestyle=style.linestyle,
        marker=style.marker,
        markevery=max(1, len(curve) // _MARKERS_PER_CURVE),
    )


def is_short(limits: tuple[float, float]) -> bool:
    """Return whether a logarithmic axis with these limits is too short for labels at powers of ten alone."""
    return limits[1] < 50 * limits[0]


def write_plain_numbers(axis: Axis) -> None:
    """Label 1, 2 and 5 of each decade of a short logarithmic axis."""
    axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axis.set_minor_formatter(NullFormatter())


def write_note(figure: Figure, note: str) -> None:
    """Write a warning below the axes of a figure; nothing where it is empty."""
    if note:
        figure.text(0.995, 0.005, note, ha="right", va="bottom", fontsize=6, color="firebrick")
        figure.set_layout_engine(ConstrainedLayoutEngine(rect=(0, 0.035, 1, 0.965)))


@contextmanager
def house_style() -> Iterator[None]:
    """Draw in the project's style within this block."""
    with mpl.rc_context({**mpl.rcParamsDefault, **_SETTINGS, "backend": "agg"}):
        yield
