"""Saved figures have the same bytes each time, and a failure leaves nothing."""

import io

import matplotlib.pyplot as plt
import pytest
from drawn_tables import CONTEXT, curve_rows, tables
from matplotlib.figure import Figure

from secondorder import plotting
from secondorder.plotting.saving import save_figure
from secondorder.plotting.style import house_style


def drawn(width=0.02):
    figure = plotting.load("training_curves").draw(tables(curve_rows("sgd", width=width), verified=False), CONTEXT)
    plt.close(figure)
    return figure


@pytest.fixture
def saved(tmp_path):
    """Draw and save; return the bytes by suffix."""

    def save(folder, **more):
        targets = [tmp_path / folder / f"figure.{suffix}" for suffix in ("pdf", "png")]
        with house_style():
            save_figure(drawn(**more), targets)
        return {target.suffix: target.read_bytes() for target in targets}

    return save


def test_drawing_and_saving_twice_gives_the_same_bytes(saved, monkeypatch):
    first = saved("one")
    monkeypatch.setattr("time.time", lambda: 4e9)
    assert saved("two") == first


def test_other_numbers_give_other_bytes(saved):
    first, second = saved("one"), saved("two", width=0.03)
    assert first[".pdf"] != second[".pdf"]
    assert first[".png"] != second[".png"]


def test_files_are_of_the_formats_of_their_names(saved):
    files = saved("one")
    assert files[".pdf"].startswith(b"%PDF-")
    assert files[".png"].startswith(b"\x89PNG\r\n")


def test_files_say_neither_when_nor_with_what_they_were_made(saved):
    files = saved("one")
    assert b"CreationDate" not in files[".pdf"]
    assert b"Software" not in files[".png"]


def test_png_is_as_wide_as_a_page_at_300_dots_per_inch(saved):
    height, width, _ = plt.imread(io.BytesIO(saved("one")[".png"])).shape
    assert (width, height) == (2130, 555)


def test_only_the_figures_are_left(saved, tmp_path):
    saved("one")
    assert sorted(path.name for path in (tmp_path / "one").iterdir()) == ["figure.pdf", "figure.png"]


class BrokenFigure(Figure):
    """Fails in the middle of writing."""

    def savefig(self, path, **options):
        path.write_bytes(b"half a figure")
        raise RuntimeError("out of ink")


@pytest.mark.parametrize("old", [None, b"the old figure"], ids=["new", "over an old one"])
def test_failure_leaves_what_was_there(tmp_path, old):
    target = tmp_path / "figure.png"
    if old is not None:
        target.write_bytes(old)
    with pytest.raises(RuntimeError, match="out of ink"):
        save_figure(BrokenFigure(), [target])
    assert [path.read_bytes() for path in tmp_path.iterdir()] == ([] if old is None else [old])
