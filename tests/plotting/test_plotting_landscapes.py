"""The figures of analytic functions show what is in their tables."""

import dataclasses

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from drawn_tables import CONTEXT
from landscape_frames import landscape_outcomes, trajectories

from secondorder import plotting
from secondorder.plotting.run_groups import groups_of
from secondorder.plotting.style import family_styles, house_style

STYLES = family_styles(list(CONTEXT.labels), CONTEXT.families)
MANY = dataclasses.replace(CONTEXT, labels={f"run_{number}": f"Run {number}" for number in range(12)})


@pytest.fixture
def draw():
    def draw(name, outcomes=None, context=CONTEXT):
        given = {"trajectories": trajectories(), "landscape_outcomes": landscape_outcomes()}
        if outcomes is not None:
            given["landscape_outcomes"] = outcomes
        copies = {table: frame.copy() for table, frame in given.items()}
        figure = plotting.load(name).draw(given, context)
        for table, frame in given.items():
            pd.testing.assert_frame_equal(frame, copies[table])
        return figure

    with house_style():
        yield draw
    plt.close("all")


def lines(panel, run):
    return [line for line in panel.lines if line.get_color() == STYLES[run].color]


@pytest.mark.parametrize(("count", "sizes"), [(0, [0]), (1, [1]), (6, [6]), (7, [3, 4]), (22, [5, 6, 5, 6])])
def test_groups_are_few_and_nearly_equal_and_keep_the_order(count, sizes):
    runs = [str(number) for number in range(count)]
    groups = groups_of(runs)
    assert sorted(map(len, groups)) == sorted(sizes)
    assert [run for group in groups for run in group] == runs


def test_paths_are_drawn_over_one_function_of_each_kind(draw):
    figure = draw("trajectories")
    assert [panel.get_ylabel() for panel in figure.axes] == ["Quadratic, κ = 100", "Strict saddle"]
    path, end = lines(figure.axes[1], "sgd")
    assert path.get_xdata().tolist() == [1, 0.75, 0.5, 0.25, 0]
    assert (end.get_xdata(), end.get_ydata()) == ([0], [1])


def test_a_path_that_missed_ends_hollow_and_a_refused_run_has_none(draw):
    outcomes = landscape_outcomes()
    outcomes.loc[outcomes["run"] == "adam", "status"] = "missed"
    panel = draw("trajectories", outcomes).axes[0]
    assert lines(panel, "sgd")[1].get_markerfacecolor() == STYLES["sgd"].color
    assert lines(panel, "adam")[1].get_markerfacecolor() == "white"
    assert lines(panel, "lbfgs") == []


@pytest.mark.parametrize(
    ("name", "difficulty", "work"), [("conditioning", [100, 1e4], 40), ("saddle_escape", [1e-3, 0.1], 9)]
)
def test_misses_lie_above_the_budget_and_refused_runs_are_left_out(draw, name, difficulty, work):
    (panel,) = draw(name).axes
    (reached, none_missed), (some, missed) = lines(panel, "sgd"), lines(panel, "adam")
    assert reached.get_xdata().tolist() == difficulty
    assert reached.get_ydata().tolist() == [work, work]
    assert len(none_missed.get_xdata()) == 0
    assert np.isfinite(some.get_ydata()).sum() == len(missed.get_ydata()) == 1
    assert missed.get_ydata()[0] > 200
    assert missed.get_linestyle() == "None"
    assert lines(panel, "lbfgs") == []


def test_many_runs_are_told_apart_in_several_panels(draw):
    one = landscape_outcomes().query("run == 'sgd'")
    figure = draw("conditioning", pd.concat([one.assign(run=run) for run in MANY.labels]), MANY)
    named = [text.get_text() for panel in figure.axes for text in panel.get_legend().get_texts()]
    assert named == list(MANY.labels.values())
    assert np.unique([len(panel.get_legend().get_texts()) for panel in figure.axes]).tolist() == [6]


@pytest.mark.parametrize("name", ["trajectories", "conditioning", "saddle_escape"])
def test_caption_ends_as_a_sentence(name):
    assert plotting.load(name).caption(CONTEXT).endswith(".")
