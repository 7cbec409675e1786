"""The final test metric and the rank of every run under each condition of a problem."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from secondorder.plotting.dots import in_families
from secondorder.plotting.style import PAGE_INCHES, write_note
from secondorder.presentation import Context, data_note
from secondorder.statistics.rankings import higher_is_better, rank_under_conditions

_INCHES_PER_ROW = 0.24
# Weights of red, green and blue in how bright a colour looks (ITU-R BT.709), and where black text begins.
_LUMINANCE = (0.2126, 0.7152, 0.0722)
_BRIGHT = 0.45


def caption(context: Context) -> str:
    """Return what the figure shows."""
    problem = str(context.problem)
    reference = context.conditions[problem][context.condition_references[problem]]
    return (
        f"Test {context.metric(problem).title} at the end of the budget on {problem} under each condition: the colour "
        "is the mean over seeds, which stands in brackets behind the rank among the runs of the column. The scale "
        "leaves out cells "
        "more than 1.5 interquartile ranges from the quartiles. A run with a diverged seed is white, marked and shares "
        "the last rank. τ is "
        f"Kendall's rank correlation of a column with {reference}."
    )


def draw(tables: Mapping[str, pd.DataFrame], context: Context) -> Figure:
    """Draw a row per run and a column per condition.

    Args:
        tables: The aggregated tables ``final_metric`` and ``seeds`` of the problem and of its conditions.
        context: Names the problem, its conditions and the runs' families.
    """
    problem = str(context.problem)
    labels, reference = context.conditions[problem], context.condition_references[problem]
    ranked = rank_under_conditions(context.of_main_runs(tables["final_metric"]), list(labels), reference)
    runs = in_families([run for run in context.main_runs if run in set(ranked["run"])], context)
    cells = ranked.set_index(["run", "problem"])
    means = pd.DataFrame({name: cells["mean"].xs(name, level="problem") for name in labels}).loc[runs]
    low, high = _limits(means)
    figure, axes = plt.subplots(figsize=(PAGE_INCHES, 0.9 + _INCHES_PER_ROW * len(runs)))
    sns.heatmap(
        means,
        ax=axes,
        cmap="viridis" if higher_is_better(ranked) else "viridis_r",
        vmin=low,
        vmax=high,
        linewidths=0.5,
        cbar_kws={"label": f"Test {context.metric(problem).title}", "extend": "both", "fraction": 0.04, "pad": 0.02},
    )
    mesh = axes.collections[0]
    for column, name in enumerate(labels):
        for row, run in enumerate(runs):
            rank, mean, lost = (cells[measure][(run, name)] for measure in ("rank", "mean", "diverged"))
            background = None if lost else mesh.cmap(mesh.norm(mean))
            _write_cell(axes, column + 0.5, row + 0.5, f"{rank:.0f}", f"{mean:.1f}", background)
    correlations = ranked.groupby("problem")["correlation"].first()
    lines = {name: label.replace(", ", ",\n") for name, label in labels.items()}
    names = [line if name == reference else f"{line}\nτ = {correlations[name]:.2f}" for name, line in lines.items()]
    axes.set_xticklabels(names, rotation=0)
    axes.set_yticklabels([context.labels[run] for run in runs], rotation=0)
    axes.set(xlabel="", ylabel="")
    axes.tick_params(length=0, labeltop=True, labelbottom=False)
    axes.grid(visible=False)
    write_note(figure, data_note(tables["seeds"]))
    return figure


def _limits(means: pd.DataFrame) -> tuple[float, float]:
    """Return the smallest and the largest mean within one and a half interquartile ranges of the quartiles."""
    values = means.to_numpy(dtype=float)
    values = values[np.isfinite(values)]
    if not len(values):
        return 0.0, 1.0
    first, third = np.quantile(values, (0.25, 0.75))
    reach = 1.5 * (third - first)
    inner = values[(values >= first - reach) & (values <= third + reach)]
    return float(inner.min()), float(inner.max())


def _write_cell(
    axes: Axes, x: float, y: float, rank: str, mean: str, background: Sequence[float] | NDArray[np.float64] | None
) -> None:
    """Write rank and mean, black on bright colours and white on dark ones; without a colour the run diverged."""
    if background is None:
        text, color = f"{rank} (diverged)", "firebrick"
    else:
        brightness = np.dot(background[:3], _LUMINANCE)
        text, color = f"{rank} ({mean})", "black" if brightness > _BRIGHT else "white"
    axes.text(x, y, text, color=color, fontsize=7, ha="center", va="center")
