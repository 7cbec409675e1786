"""The whole spectrum of the Hessian of a training loss, and what its leading eigenpairs keep of it."""

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from secondorder.plotting.style import PAGE_INCHES, run_styles, write_note
from secondorder.presentation import Context, data_note

_CLASSES = {"color": "0.4", "linewidth": 0.8, "linestyle": (0, (4, 3))}
_SIGNS = {"positive": 1, "negative": -1}


def caption(context: Context) -> str:  # noqa: ARG001
    """Return what the figure shows."""
    return (
        "Every eigenvalue of the Hessian of a perceptron's mean training loss: all P x P entries by automatic "
        "differentiation in float64, summed over all of the images, after the epochs of Adam, on the device that are "
        "named above. Left: magnitudes in descending order, and which are negative; magnitudes below P times the "
        "rounding of the largest count as zero and are left out. Right: what the best approximation by k eigenpairs "
        "leaves of the matrix, in the Frobenius norm. Dashed: one less than the number of classes. Error: the largest "
        "of the residuals of the eigenpairs at both ends by products of another way of differentiation, their "
        "departure from orthogonality, the asymmetry of the matrix, and the errors of trace and norm."
    )


def draw(tables: Mapping[str, pd.DataFrame], context: Context) -> Figure:  # noqa: ARG001
    """Draw magnitudes by rank, and what leading eigenpairs leave.

    Args:
        tables: The tables ``full_hessian`` and ``full_hessian_timing``.
        context: Not used.
    """
    spectrum, timing = tables["full_hessian"], tables["full_hessian_timing"]
    about = spectrum.iloc[0]
    values = spectrum["eigenvalue"].to_numpy()
    values = values[np.argsort(-np.abs(values), kind="stable")]
    kept = np.abs(values) > len(values) * np.finfo(values.dtype).eps * np.abs(values[0])
    figure, (magnitudes, left_over) = plt.subplots(1, 2, figsize=(PAGE_INCHES, 2.7))
    _draw_magnitudes(magnitudes, values[kept])
    # Summed from the small end, because a difference to the whole norm has no digits left there.
    squares = np.cumsum(np.square(values)[::-1])[::-1]
    style = run_styles(["left over"])["left over"]
    ranks = np.arange(1, kept.sum())
    left_over.plot(ranks, np.sqrt(squares[ranks] / squares[0]), color=style.color)
    for panel, label in ((magnitudes, "|Eigenvalue|"), (left_over, "Relative error of k eigenpairs")):
        panel.set_xscale("log")
        panel.set_yscale("log")
        panel.set_ylabel(label)
        panel.axvline(about["classes"] - 1, **_CLASSES)
    magnitudes.set_xlabel("Rank")
    left_over.set_xlabel("k")
    error = max(about[column] for column in _ERRORS)
    magnitudes.set_title(
        f"784-{about['hidden']}-{about['classes']}, P = {about['parameters']:,}, {about['images']:,} images, "
        f"{about['epochs']} epochs"
    )
    left_over.set_title(
        f"{timing['device'].iloc[0]}, error {error:.0e}{'' if about['passed'] else ': certificate failed'}"
    )
    handles = [
        *magnitudes.get_lines()[: len(_SIGNS)],
        Line2D([], [], linestyle="none", label=f"{(~kept).sum():,} zero"),
    ]
    figure.legend(handles, [str(line.get_label()) for line in handles], loc="outside upper center", ncols=len(handles))
    write_note(figure, data_note(spectrum))
    return figure


_ERRORS = ("relative_residual", "orthogonality", "asymmetry", "trace_error", "norm_error")


def _draw_magnitudes(axes: Axes, values: np.ndarray) -> None:
    """Draw eigenvalues that are sorted by magnitude, each sign in its own colour, at the rank among all."""
    styles = run_styles(list(_SIGNS))
    for name, sign in _SIGNS.items():
        ranks = np.flatnonzero(np.sign(values) == sign)
        axes.plot(
            ranks + 1,
            np.abs(values[ranks]),
            linestyle="none",
            color=styles[name].color,
            marker=styles[name].marker,
            markersize=2,
            # Tens of thousands of markers make a slow page.
            rasterized=True,
            label=f"{len(ranks):,} {name}",
        )
