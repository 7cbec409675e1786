"""Performance profiles over all problems, by work and by time."""

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import PercentFormatter

from secondorder.plotting.dots import in_families
from secondorder.plotting.style import PAGE_INCHES, RunStyle, family_styles, is_short, write_note, write_plain_numbers
from secondorder.presentation import Context, data_note
from secondorder.statistics.performance_profiles import performance_profiles

_MEASURES = {"gradient_equivalents": "work (gradient-equivalents)", "seconds": "seconds"}
_WIDEST = 100.0
# Lines of equal shares would hide each other.
_APART = 0.06
_MARGIN = 1.03
_LEGEND_COLUMNS = 5
_INCHES_PER_LEGEND_LINE = 0.17


def caption(context: Context) -> str:
    """Return what the figure shows."""
    shared = "" if context.exclusive else " Runs shared the machine, so seconds are indicative."
    return (
        "Performance profiles (Dolan & Moré 2002): the share of problems on which a run's median time to target is "
        "within the given factor of the best run's, in gradient-equivalents and in seconds, up to a factor of "
        f"{_WIDEST:g}. A target that half of a run's seeds miss is a miss, and so is a problem that leaves the run out "
        "because the method cannot treat it or would be too dear; a problem that chooses its runs counts for these "
        f"alone. Lines are set a little apart in height; runs that reach no target are listed in grey.{shared}"
    )


def draw(tables: Mapping[str, pd.DataFrame], context: Context) -> Figure:
    """Draw the profiles by work and by seconds side by side.

    Args:
        tables: The aggregated tables ``time_to_target`` and ``seeds``.
        context: Gives labels, families and the runs that problems leave out.
    """
    times = context.of_main_runs(tables["time_to_target"])
    styles = family_styles(context.main_runs, context.families)
    profiles = {measure: performance_profiles(spent_on_problems(times, context, measure)) for measure in _MEASURES}
    runs = in_families([run for run in context.main_runs if run in set(times["run"])], context)
    solving = [run for run in runs if profiles["gradient_equivalents"][run].max() > 0]
    lines = -(-len(runs) // _LEGEND_COLUMNS)
    figure, axes = plt.subplots(
        1, len(_MEASURES), figsize=(PAGE_INCHES, 2.7 + _INCHES_PER_LEGEND_LINE * lines), sharey=True, squeeze=False
    )
    for panel, (measure, label) in zip(axes[0], _MEASURES.items(), strict=True):
        end = _end_of_axis(profiles[measure])
        for place, run in enumerate(solving):
            apart = _APART * ((place + 0.5) / len(solving) - 0.5)
            _draw_profile(panel, profiles[measure][run], apart, styles[run], end)
        panel.set_xscale("log")
        panel.set_xlim(1 / _MARGIN, end)
        if is_short(panel.get_xlim()):
            write_plain_numbers(panel.xaxis)
        panel.set_xlabel(f"Factor of the best run's {label}")
        panel.yaxis.set_major_formatter(PercentFormatter(1))
        panel.set_ylim(-0.05, 1.05)
    axes[0, 0].set_ylabel("Problems solved")
    handles = [
        Line2D([], [], color=styles[run].color, marker=styles[run].marker, linestyle=styles[run].linestyle)
        if run in solving
        else Line2D([], [], linestyle="none")
        for run in runs
    ]
    legend = figure.legend(
        handles, [context.labels[run] for run in runs], loc="outside upper center", ncols=_LEGEND_COLUMNS, fontsize=7
    )
    for run, text in zip(runs, legend.get_texts(), strict=True):
        if run not in solving:
            text.set_color("0.6")
    write_note(figure, data_note(tables["seeds"]))
    return figure


def spent_on_problems(times: pd.DataFrame, context: Context, measure: str) -> pd.DataFrame:
    """Return what each run spends until the target of each problem.

    Args:
        times: Rows of the aggregated table ``time_to_target``.
        context: Names the runs that each problem leaves out.
        measure: What is spent, a column of the table.

    Returns:
        A row per run and a column per problem: infinite for a miss and for a run that the problem leaves out, NaN for
        one that the problem does not choose.
    """
    spent = pd.DataFrame({name: rows.set_index("run")[measure] for name, rows in times.groupby("problem", sort=False)})
    for problem, runs in context.left_out.items():
        if problem in spent:
            spent.loc[spent.index.isin(runs), problem] = np.inf
    return spent


def _end_of_axis(profiles: pd.DataFrame) -> float:
    factors = profiles.index.to_numpy()
    return float(max(2.0, 1.2 * factors[factors <= _WIDEST].max()))


def _draw_profile(axes: Axes, profile: "pd.Series[float]", apart: float, style: RunStyle, end: float) -> None:
    rises = profile[(profile.diff() != 0) & (profile > 0)]
    if rises.empty:
        return
    axes.step(
        [*rises.index, end],
        apart + np.array([*rises, rises.iloc[-1]]),
        where="post",
        color=style.color,
        linestyle=style.linestyle,
        linewidth=0.9,
        marker=style.marker,
        markevery=range(len(rises)),
    )
