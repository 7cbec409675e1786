"""The error of Hessian-vector products over the size of the step, for methods with and without one."""

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import ArrayLike, NDArray

from secondorder.plotting.product_methods import METHODS, method_styles
from secondorder.plotting.style import PAGE_INCHES, write_note
from secondorder.presentation import Context, data_note

_DTYPES = {"float64": "float64", "float32": "float32"}
_NETWORKS = {"perceptron": "Perceptron", "convolutional": "Convolutions, batch norm", "recurrent": "Recurrent"}
_STEPS = (1e-1, 1e-2, 1e-4, 1e-8, 1e-20, 1e-100)
_WIDTHS = {"r_operator": 3.4, "forward_over_reverse": 2.2, "double_backward": 0.9}
_SMALLEST = 1e-18
_LARGEST = 1e2


def caption(context: Context) -> str:  # noqa: ARG001
    """Return what the figure shows."""
    return (
        "Error of one Hessian-vector product on real images of 8 x 8 pixels, relative to the length of the product by "
        "double backward in float64 of the same numbers. The step of the complex step and of the central finite "
        "difference is relative to the vector; the axis is logarithmic in its number of digits. Methods without a step "
        "are horizontal lines, each thinner than the one below it. A line ends where the method refuses smaller "
        "steps. Errors below 1e-18, as the reference's own, lie on the lower edge, those above 100 on the upper. "
        "Dashed: the tolerance."
    )


def draw(tables: Mapping[str, pd.DataFrame], context: Context) -> Figure:  # noqa: ARG001
    """Draw a panel per network and dtype.

    Args:
        tables: The table ``product_error``.
        context: Not used.
    """
    errors = tables["product_error"]
    rows = errors[(errors["control"] == "") & errors["error"].notna()]
    figure, axes = plt.subplots(
        len(_DTYPES), len(_NETWORKS), figsize=(PAGE_INCHES, 4.2), sharex="row", sharey=True, squeeze=False
    )
    for row, dtype in enumerate(_DTYPES):
        for column, (network, title) in enumerate(_NETWORKS.items()):
            panel = axes[row, column]
            _draw_errors(panel, rows[(rows["network"] == network) & (rows["dtype"] == dtype)])
            if row == 0:
                panel.set_title(title)
        of_dtype = rows[rows["dtype"] == dtype]
        _scale_steps(axes[row, 0], of_dtype["step"].min(), of_dtype["step"].max())
        axes[row, 0].set_ylabel(f"Relative error, {_DTYPES[dtype]}")
    for panel in axes[-1]:
        panel.set_xlabel("Step")
    axes[0, 0].set_yscale("log")
    axes[0, 0].set_ylim(_SMALLEST / 2, 2 * _LARGEST)
    styles = method_styles()
    handles = [
        Line2D(
            [],
            [],
            color=styles[method].color,
            linestyle=styles[method].linestyle,
            linewidth=_WIDTHS.get(method),
            marker="" if method in _WIDTHS else styles[method].marker,
        )
        for method in METHODS
    ]
    figure.legend(handles, list(METHODS.values()), loc="outside upper center", ncols=len(handles))
    write_note(figure, data_note(errors))
    return figure


def _draw_errors(panel: Axes, rows: pd.DataFrame) -> None:
    for method, style in method_styles().items():
        chosen = rows[rows["method"] == method].sort_values("step")
        shown = chosen["error"].clip(_SMALLEST, _LARGEST)
        if method in _WIDTHS:
            for error in shown:
                panel.axhline(error, color=style.color, linewidth=_WIDTHS[method], zorder=1.5)
        else:
            panel.plot(chosen["step"], shown, color=style.color, linestyle=style.linestyle, marker=style.marker)
    for allowed in rows["tolerance"].unique():
        panel.axhline(allowed, color="0.4", linewidth=0.8, linestyle=(0, (4, 3)))


def _scale_steps(panel: Axes, smallest: float, largest: float) -> None:
    """Give every doubling of the number of digits the same room, so that both ends of 200 decades can be seen."""

    def position(steps: ArrayLike) -> NDArray[np.float64]:
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray(-np.log(-np.log(np.asarray(steps, dtype=float))))

    def step(positions: ArrayLike) -> NDArray[np.float64]:
        return np.asarray(np.exp(-np.exp(-np.asarray(positions, dtype=float))))

    panel.set_xscale("function", functions=(position, step))
    panel.set_xticks([tick for tick in _STEPS if smallest <= tick <= largest])
    panel.xaxis.set_major_formatter(lambda value, _: f"$10^{{{np.log10(value):.0f}}}$")
    panel.minorticks_off()
    panel.set_xlim(smallest**1.2, largest**0.8)
