"""The figure of Newton-Krylov shows what its steps record."""

import dataclasses

import matplotlib.pyplot as plt
import numpy as np
import pytest
from krylov_frames import CONTEXT, krylov_tables
from matplotlib.collections import FillBetweenPolyCollection

from secondorder import plotting
from secondorder.plotting.krylov import in_bins
from secondorder.plotting.style import house_style

NOTE = "Made with data that fails its published checksums."


@pytest.fixture
def draw():
    """Draw the figure; return its rows of panels."""

    def draw(tables=None, context=CONTEXT):
        figure = plotting.load("krylov").draw(tables or krylov_tables(), context)
        figure.canvas.draw()
        return figure

    with house_style():
        yield draw
    plt.close("all")


def rows_of(figure):
    return np.array(figure.axes).reshape(-1, 4)


def test_there_is_a_row_for_each_main_run_of_newton_krylov(draw):
    labels = [row[0].get_ylabel() for row in rows_of(draw())]
    assert labels == ["Newton-Krylov\nproducts per step", "Few products\nproducts per step"]


def test_run_of_another_optimizer_and_run_without_steps_are_left_out(draw):
    assert len(rows_of(draw(krylov_tables(runs=("sgd", "krylov"))))) == 1


def test_products_are_a_mean_over_steps_and_seeds_along_the_work(draw):
    (line,) = rows_of(draw())[0, 0].lines
    assert line.get_ydata().mean() == pytest.approx(4, abs=0.05)
    assert line.get_xdata()[-1] == pytest.approx(800, rel=0.02)


def test_shares_of_ends_add_up_to_all_steps(draw):
    bands = rows_of(draw())[0, 1].collections
    assert len(bands) == 3
    top = max(path.vertices[:, 1].max() for band in bands for path in band.get_paths())
    assert top == pytest.approx(100)


def test_legend_has_the_ends_that_occur(draw):
    assert [text.get_text() for text in draw().legends[0].get_texts()] == ["converged", "disturbed", "capped"]


def test_points_are_the_decreases_and_the_share_of_others_is_written(draw):
    panel = rows_of(draw())[0, 2]
    points, diagonal = panel.lines
    np.testing.assert_allclose(points.get_ydata(), points.get_xdata() / 2)
    np.testing.assert_allclose(diagonal.get_xdata(), diagonal.get_ydata())
    assert [text.get_text() for text in panel.texts] == ["no decrease: 25.0%"]
    assert (panel.get_xscale(), panel.get_yscale()) == ("log", "log")


def test_lengths_are_of_steps_that_were_taken(draw):
    panel = rows_of(draw())[0, 3]
    (line,) = panel.lines
    assert set(line.get_ydata()) == {0.25}
    assert any(isinstance(artist, FillBetweenPolyCollection) for artist in panel.collections)


NOTHING = {
    "a control that measures no change": {"actual_change": np.nan},
    "no step that was taken": {"step_size": 0.0},
    "no step that decreased the loss": {"actual_change": 0.1},
}


@pytest.mark.parametrize("columns", NOTHING.values(), ids=NOTHING)
def test_figure_is_drawn_with(draw, columns):
    assert len(rows_of(draw(krylov_tables(**columns)))) == 2


def test_other_problems_are_left_out(draw):
    context = dataclasses.replace(CONTEXT, problem="other")
    assert not any(panel.lines for panel in draw(context=context).axes)


def test_bins_are_equal_parts_of_the_work():
    steps = in_bins(krylov_tables()["krylov"])
    assert sorted(steps["bin"].unique()) == list(range(40))
    assert steps.groupby("bin").size().max() <= 3 * steps.groupby("bin").size().min()


@pytest.mark.parametrize(("verified", "texts"), [(True, []), (False, [NOTE])])
def test_note_on_unverified_data(draw, verified, texts):
    assert [text.get_text() for text in draw(krylov_tables(verified=verified)).texts] == texts


def test_drawing_changes_no_table(draw):
    given = krylov_tables()
    copies = {name: table.copy() for name, table in given.items()}
    draw(given)
    assert all(given[name].equals(copies[name]) for name in given)


def test_caption_names_the_problem_in_sentences():
    caption = plotting.load("krylov").caption(CONTEXT)
    assert caption.startswith("Steps of Newton-Krylov on mnist_mlp")
    assert caption.endswith(".")
