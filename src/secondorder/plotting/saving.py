"""Figures to files, the same bytes each time."""

from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from secondorder.files import atomic_path

_UNDATED = {".pdf": {"CreationDate": None}, ".png": {"Software": None}}


def save_figure(figure: Figure, targets: list[Path]) -> None:
    """Write a figure to each target, in the format of its suffix, without dates that would change its bytes; close it.

    Its parts are laid out once, so that all targets show the same layout. A figure that keeps a layout engine, even one
    that does nothing, is drawn twice for each target.
    """
    engine = figure.get_layout_engine()
    if engine is not None:
        engine.execute(figure)
    with mpl.rc_context({"figure.constrained_layout.use": False}):
        figure.set_layout_engine(None)
        for target in targets:
            with atomic_path(target) as temporary:
                figure.savefig(temporary, metadata=_UNDATED[target.suffix])
    plt.close(figure)
