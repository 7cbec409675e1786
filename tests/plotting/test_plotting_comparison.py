"""Figures that compare all runs: time to target, performance profiles, costs of a step, ranks under conditions."""

import dataclasses
import math

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from drawn_tables import CONTEXT

from secondorder import plotting, tables
from secondorder.plotting.performance_profile import spent_on_problems
from secondorder.plotting.style import house_style

INF, NAN = math.inf, math.nan
RUNS = ["sgd", "adam", "lbfgs"]
COMPARED = dataclasses.replace(
    CONTEXT,
    families={"sgd": "first_order", "lbfgs": "quasi_newton", "adam": "first_order"},
    labels={"sgd": "SGD", "lbfgs": "L-BFGS", "adam": "Adam"},
    left_out={"other": ["lbfgs"]},
    conditions={"mnist_mlp": {"mnist_mlp": "None", "mnist_mlp_decay": "Decay"}},
    condition_references={"mnist_mlp": "mnist_mlp"},
)
SEEDS = pd.DataFrame({"problem": ["mnist_mlp"], "data_verified": [True]})


def times():
    """SGD and Adam reach both targets, L-BFGS, with one seed in three, that of the one problem it can treat."""
    rows = []
    for problem, run, middle, low, high in [
        ("mnist_mlp", "sgd", 10.0, 5.0, 20.0),
        ("mnist_mlp", "adam", 20.0, 20.0, INF),
        ("mnist_mlp", "lbfgs", INF, 40.0, INF),
        ("other", "sgd", 8.0, 8.0, 8.0),
        ("other", "adam", 4.0, 4.0, 4.0),
    ]:
        row = {"problem": problem, "run": run}
        for name, factor in (("gradient_equivalents", 1.0), ("seconds", 0.1)):
            row |= {name: factor * middle, f"{name}_min": factor * low, f"{name}_max": factor * high}
        rows.append(row)
    return pd.DataFrame(rows)


def costs():
    rows = []
    for place, run in enumerate(RUNS, start=1):
        for problem in ("mnist_mlp", "other"):
            row = {"problem": problem, "run": run, "seeds": 3, "steps": 30}
            for name, cost in (("seconds", 0.002), ("gradient_equivalents", 1.0), ("peak_memory_bytes", 2.0**20)):
                row |= {f"{name}{end}": cost * place for end in ("", "_min", "_max")}
            rows.append(row)
    return pd.DataFrame(rows)


def finals():
    means = {"mnist_mlp": [90.0, 95.0, 80.0], "mnist_mlp_decay": [91.0, NAN, 92.0]}
    return pd.DataFrame(
        [
            {
                "problem": problem,
                "run": run,
                "metric": "accuracy (%)",
                "better": "higher",
                "seeds": 3,
                "mean": mean,
                "ci_low": mean - 1,
                "ci_high": mean + 1,
            }
            | {"diverged": int(math.isnan(mean))}
            for problem, row in means.items()
            for run, mean in zip(RUNS, row, strict=True)
        ]
    )


GIVEN = {"time_to_target": times(), "step_cost": costs(), "final_metric": finals(), "seeds": SEEDS}


@pytest.fixture
def draw():
    """Draw a figure and lay it out as for a file."""

    def draw(kind, problem=None):
        figure = plotting.load(kind).draw(GIVEN, dataclasses.replace(COMPARED, problem=problem))
        figure.canvas.draw()
        return figure

    with house_style():
        yield draw
    plt.close("all")


def row_names(axes):
    return [label.get_text() for label in axes.get_yticklabels()]


def test_time_to_target_has_a_row_per_run_with_families_together(draw):
    work, seconds = draw("time_to_target", "mnist_mlp").axes
    assert row_names(work) == ["SGD", "Adam", "L-BFGS"]
    ranges, medians = (
        [line for line in work.lines if len(line.get_xdata()) == count and line.get_linewidth() > 1] for count in (2, 1)
    )
    assert [list(line.get_xdata()) for line in ranges] == [[5, 20], [20, 60], [40, 60]]
    assert [line.get_xdata()[0] for line in medians] == [10, 20, 60]
    assert [line.get_marker() == "x" for line in medians] == [False, False, True]
    assert seconds.get_xlabel() == "Training seconds to target"


def test_run_that_a_problem_leaves_out_misses_it_and_one_it_does_not_choose_is_not_asked():
    spent = spent_on_problems(times(), COMPARED, "gradient_equivalents")
    assert spent.loc["lbfgs"].tolist() == [INF, INF]
    chosen = spent_on_problems(times(), dataclasses.replace(COMPARED, left_out={}), "gradient_equivalents")
    assert math.isnan(chosen.loc["lbfgs", "other"])


def test_profiles_rise_at_the_factors_of_the_best(draw):
    work, seconds = draw("performance_profile").axes
    for panel in (work, seconds):
        sgd, adam = panel.lines
        # Each is the best on one problem and within twice the best on the other; the lines are a little apart.
        for line in (sgd, adam):
            np.testing.assert_allclose(line.get_xdata()[:2], [1, 2])
            np.testing.assert_allclose(line.get_ydata()[:2], [0.5, 1], atol=0.02)
        assert not np.array_equal(sgd.get_ydata(), adam.get_ydata())


def test_run_without_a_hit_is_named_in_grey(draw):
    texts = draw("performance_profile").legends[0].get_texts()
    assert [(text.get_text(), text.get_color() == "0.6") for text in texts] == [
        ("SGD", False),
        ("Adam", False),
        ("L-BFGS", True),
    ]


def test_costs_of_a_step_are_relative_to_the_reference(draw):
    figure = draw("cost_per_step")
    assert row_names(figure.axes[0]) == ["SGD", "Adam", "L-BFGS"]
    for panel in figure.axes:
        of_first, of_second = panel.lines[:2]
        assert list(of_first.get_xdata()) == list(of_second.get_xdata()) == pytest.approx([1, 2, 3])


def test_heat_map_has_ranks_and_means_in_its_cells_and_marks_what_diverged(draw):
    figure = draw("regularization", "mnist_mlp")
    axes = figure.axes[0]
    assert row_names(axes) == ["SGD", "Adam", "L-BFGS"]
    cells = {(text.get_position()): text.get_text() for text in axes.texts}
    assert [cells[0.5, row + 0.5] for row in range(3)] == ["2 (90.0)", "1 (95.0)", "3 (80.0)"]
    assert [cells[1.5, row + 0.5] for row in range(3)] == ["2 (91.0)", "3 (diverged)", "1 (92.0)"]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["None", "Decay\nτ = -1.00"]


def test_table_of_ranks_has_a_row_per_condition_and_run():
    rows = tables.load("regularization_ranks").build(GIVEN, COMPARED).rows
    assert rows["condition"].tolist() == ["None"] * 3 + ["Decay"] * 3
    assert rows["rank"].tolist() == [2, 1, 3, 2, 3, 1]
    assert rows["correlation"].tolist() == [1, 1, 1, -1, -1, -1]


def test_table_of_costs_is_in_milliseconds_and_mebibytes():
    shown = tables.load("cost_per_step").build(GIVEN, COMPARED).shown()
    adam = shown[(shown["problem"] == "other") & (shown["optimizer"] == "Adam")].iloc[0]
    assert adam[["milliseconds", "times_seconds", "memory", "times_memory"]].tolist() == ["4.00", "2.00", "2", "2.00"]
