"""Figures to files, the same bytes each time."""

from pathlib import Path

from matplotlib.figure import Figure

from secondorder.files import atomic_path

_UNDATED = {".pdf": {"CreationDate": None}, ".png": {"Software": None}}


def save_figure(figure: Figure, targets: list[Path]) -> None:
    """Write a figure to each target, in the format of its suffix, without the date that would change its bytes.

    Its parts are laid out once, which takes as long as drawing them, so that all targets show the same layout.
    """
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    for target in targets:
        with atomic_path(target) as temporary:
            figure.savefig(temporary, metadata=_UNDATED[target.suffix])
