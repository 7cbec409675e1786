"""Seconds and memory of a Hessian-vector product in gradients, over the size of the batch and of the network."""

from collections.abc import Mapping

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, NullFormatter, NullLocator, StrMethodFormatter

from secondorder.plotting.product_methods import METHODS, method_styles
from secondorder.plotting.style import PAGE_INCHES, is_short, write_note, write_plain_numbers
from secondorder.presentation import Context, data_note

_NETWORKS = {"perceptron": "Perceptron", "convolutional": "Convolutions"}
_MEASURED = {"time": "time", "memory": "memory"}
_SWEEPS = {"batch_size": ("width", "Batch size"), "width": ("batch_size", "Width")}
_FLOOR = (0, (2, 2))


def caption(context: Context) -> str:
    """Return what the figure shows."""
    shared = "" if context.exclusive else " Other jobs shared the machine."
    return (
        "One Hessian-vector product among many at one point, in units of one gradient, on one thread in float32, over "
        "the batch size (at the largest width) and over the width of the network (at the largest batch). Time: median "
        "seconds, the band from the fastest to the slowest repetition; dashed: the floor, multiplications of the "
        "product over those of the gradient (the same for the R-operator and double backward); time "
        "is below it where the gradient takes longer than its multiplications. Memory: the peak above what the process "
        f"held, of everything that the products share and of one product.{shared}"
    )


def draw(tables: Mapping[str, pd.DataFrame], context: Context) -> Figure:  # noqa: ARG001
    """Draw a row per network; time and memory over batch size and over width.

    Args:
        tables: The tables ``product_cost`` and ``product_cost_timing``.
        context: Not used.
    """
    floors, timing = tables["product_cost"], tables["product_cost_timing"]
    rows = timing.merge(floors.drop(columns="data_verified"), validate="one_to_one")
    figure, axes = plt.subplots(
        len(_NETWORKS), 4, figsize=(PAGE_INCHES, 3.8), sharex="col", sharey=False, squeeze=False
    )
    for line, (network, title) in enumerate(_NETWORKS.items()):
        of_network = rows[rows["network"] == network]
        panels = iter(axes[line])
        for measured, name in _MEASURED.items():
            pair = []
            for swept, (fixed, label) in _SWEEPS.items():
                panel = next(panels)
                chosen = of_network[of_network[fixed] == of_network[fixed].max()].sort_values(swept)
                _draw_methods(panel, chosen, swept, measured)
                panel.set_xscale("log")
                panel.xaxis.set_major_locator(FixedLocator(sorted(chosen[swept].unique())))
                panel.xaxis.set_minor_locator(NullLocator())
                panel.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
                if line == len(_NETWORKS) - 1:
                    panel.set_xlabel(label)
                pair.append(panel)
            _share_heights(*pair)
            pair[0].set_ylabel(f"{title}:\n{name} in gradients")
    handles = [
        Line2D([], [], color=style.color, linestyle=style.linestyle, marker=style.marker)
        for style in method_styles().values()
    ]
    figure.legend(handles, list(METHODS.values()), loc="outside upper center", ncols=len(handles))
    write_note(figure, data_note(timing))
    return figure


def _draw_methods(panel: Axes, rows: pd.DataFrame, swept: str, measured: str) -> None:
    for method, style in method_styles().items():
        chosen = rows[rows["method"] == method]
        if measured == "time":
            panel.fill_between(
                chosen[swept], chosen["fastest"], chosen["slowest"], color=style.color, alpha=0.2, linewidth=0
            )
            panel.plot(chosen[swept], chosen["floor"], color=style.color, linestyle=_FLOOR, linewidth=0.8)
        panel.plot(chosen[swept], chosen[measured], color=style.color, linestyle=style.linestyle, marker=style.marker)


def _share_heights(left: Axes, right: Axes) -> None:
    """Give two panels one logarithmic scale, with its numbers at the left one."""
    right.sharey(left)
    left.set_yscale("log")
    left.autoscale(axis="y")
    if is_short(left.get_ylim()):
        write_plain_numbers(left.yaxis)
    left.yaxis.set_minor_formatter(NullFormatter())
    right.tick_params(labelleft=False)
