"""One study on one problem: runs that each change one thing of another, by what they reach and the minima they find."""

from collections.abc import Mapping

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import NullFormatter

from secondorder.plotting.style import (
    PAGE_INCHES,
    draw_with_band,
    is_short,
    run_styles,
    write_note,
    write_plain_numbers,
)
from secondorder.presentation import Context, data_note

_POSITIONS = {"step": "Updates", "gradient_equivalents": "Gradient-equivalents"}
_MEASURES = {"largest_eigenvalue": "Largest eigenvalue", "loss_gap": "Validation - training loss"}


def caption(context: Context) -> str:
    """Return what the figure shows."""
    varied, *_ = context.studies[str(context.study)]
    return (
        f"{context.study_labels[str(context.study)]}, on {context.problem}: {context.labels[varied]} and runs that "
        "each change one thing of it, tuned alike unless named untuned. Left: training loss, mean over seeds and "
        f"{context.confidence:.0%} confidence band, by updates and by work. Right: the largest eigenvalue of the "
        "Hessian at the end of training and the gap between validation and training loss, one marker per seed; "
        "diverged seeds are left out."
    )


def draw(tables: Mapping[str, pd.DataFrame], context: Context) -> Figure:
    """Draw training loss by updates and by work, and sharpness and generalisation gap at the end.

    Args:
        tables: The tables ``curves``, ``seeds`` and ``sharpness``.
        context: Names the problem and the study.
    """
    problem, study = str(context.problem), context.studies[str(context.study)]
    of_problem = {name: table[table["problem"] == problem] for name, table in tables.items()}
    runs = [run for run in study if run in set(of_problem["seeds"]["run"])]
    styles = run_styles(runs)
    figure, axes = plt.subplots(1, len(_POSITIONS) + len(_MEASURES), figsize=(PAGE_INCHES, 2.5))
    losses = of_problem["curves"][of_problem["curves"]["metric"] == "training_loss"]
    for panel, (position, label) in zip(axes[: len(_POSITIONS)], _POSITIONS.items(), strict=True):
        for run in runs:
            draw_with_band(panel, losses[losses["run"] == run].set_index(position), styles[run])
        panel.set_xlabel(label)
        panel.set_yscale("log")
        if is_short(panel.get_ylim()):
            write_plain_numbers(panel.yaxis)
    axes[0].set_ylabel("Training loss")
    for panel, (measure, label) in zip(axes[len(_POSITIONS) :], _MEASURES.items(), strict=True):
        for place, run in enumerate(runs):
            values = of_problem["sharpness"][of_problem["sharpness"]["run"] == run][measure].dropna()
            style = styles[run]
            panel.plot([place] * len(values), values, color=style.color, marker=style.marker, linestyle="none")
        panel.set_ylabel(label)
        panel.set_xticks([])
        panel.set_xlim(-0.5, len(runs) - 0.5)
    if (of_problem["sharpness"]["largest_eigenvalue"].dropna() > 0).all():
        axes[len(_POSITIONS)].set_yscale("log")
        axes[len(_POSITIONS)].yaxis.set_minor_formatter(NullFormatter())
        if is_short(axes[len(_POSITIONS)].get_ylim()):
            write_plain_numbers(axes[len(_POSITIONS)].yaxis)
    handles = [
        Line2D([], [], color=styles[run].color, marker=styles[run].marker, linestyle=styles[run].linestyle)
        for run in runs
    ]
    labels = [context.labels[run] for run in runs]
    figure.legend(handles, labels, loc="outside upper center", ncols=min(len(runs), 4))
    write_note(figure, data_note(of_problem["seeds"]))
    return figure
