"""The figure of a study shows the varied run and its variants, and nothing else."""

import dataclasses

import matplotlib.pyplot as plt
import pytest
from curvature_frames import sharpness
from drawn_tables import CONTEXT, curve_rows, tables

from secondorder.plotting import study, training_curves
from secondorder.plotting.style import house_style

OF_STUDY = dataclasses.replace(
    CONTEXT,
    labels={"sgd": "SGD", "lbfgs": "L-BFGS", "adam": "Variant"},
    studies={"rates": ["sgd", "adam"]},
    study_labels={"rates": "Learning rates"},
    study="rates",
)
RUNS = ("sgd", "lbfgs", "adam")


@pytest.fixture
def given():
    rows = [row for run in RUNS for row in curve_rows(run)] + curve_rows("sgd", problem="other")
    return {**tables(rows, runs=RUNS), "sharpness": sharpness()}


@pytest.fixture
def figure(given):
    with house_style():
        drawn = study.draw(given, OF_STUDY)
        drawn.canvas.draw()
        yield drawn
    plt.close("all")


def legend_texts(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()]


def test_legend_names_the_varied_run_first_and_only_runs_of_the_study(figure):
    assert legend_texts(figure) == ["SGD", "Variant"]


def test_training_loss_is_drawn_by_updates_and_by_work(figure):
    by_updates, by_work = figure.axes[:2]
    for panel, positions in ((by_updates, [0, 100, 200, 300, 400]), (by_work, [0, 110, 220, 330, 440])):
        assert [list(line.get_xdata()) for line in panel.lines] == [positions, positions]
        assert list(panel.lines[0].get_ydata()) == pytest.approx([0.5, 0.42, 0.34, 0.26, 0.18])


def test_sharpness_and_gap_are_drawn_by_seed_without_those_that_have_none(figure):
    eigenvalues, gaps = figure.axes[2:]
    assert [list(line.get_ydata()) for line in eigenvalues.lines] == [[10.0, 11.0, 12.0], [20.0, 21.0]]
    assert [list(line.get_xdata()) for line in gaps.lines] == [[0, 0, 0], [1, 1]]


def test_caption_names_study_problem_and_varied_run():
    assert study.caption(OF_STUDY).startswith("Learning rates, on mnist_mlp: SGD and runs that each change one thing")


def test_figure_of_the_problem_leaves_the_variants_out(given):
    with house_style():
        drawn = training_curves.draw(given, OF_STUDY)
    assert [text.get_text() for text in drawn.axes[0].get_legend().get_texts()] == ["Other", "SGD", "L-BFGS"]
    plt.close("all")


@pytest.mark.parametrize(("verified", "notes"), [(True, 0), (False, 1)])
def test_note_on_unverified_data(given, verified, notes):
    seeds = given["seeds"].assign(data_verified=verified)
    with house_style():
        drawn = study.draw({**given, "seeds": seeds}, OF_STUDY)
    assert len(drawn.texts) == notes
    plt.close("all")
