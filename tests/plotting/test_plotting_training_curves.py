"""The figure of training curves shows what is in the tables, panel by panel."""

import dataclasses
import math

import matplotlib.pyplot as plt
import numpy as np
import pytest
from drawn_tables import CONTEXT, curve_rows, tables
from matplotlib.collections import FillBetweenPolyCollection, LineCollection
from matplotlib.colors import to_hex

from secondorder import plotting
from secondorder.errors import ConfigurationError
from secondorder.plotting.style import OTHER_RUNS, family_styles, house_style
from secondorder.problems.metrics import SQUARED_RECONSTRUCTION_ERROR

FAMILIES = {"sgd": "first_order", "adam": "first_order", "lbfgs": "quasi_newton"}
IN_FAMILIES = dataclasses.replace(CONTEXT, families=FAMILIES)
STYLES = family_styles(list(CONTEXT.labels), FAMILIES)
COLUMNS = [
    pytest.param(0, "step", 100, id="loss by updates"),
    pytest.param(1, "gradient_equivalents", 110, id="loss by work"),
    pytest.param(2, "gradient_equivalents", 110, id="error by work"),
    pytest.param(3, "seconds", 0.5, id="error by time"),
]
NOTE = "Made with data that fails its published checksums."


@pytest.fixture
def draw():
    """Draw; ``on_paper`` lays everything out as for a file, which is slow and finds what cannot be drawn."""

    def draw(curves, on_paper=False, **more):
        figure = plotting.load("training_curves").draw(tables(curves, **more), IN_FAMILIES)
        if on_paper:
            figure.canvas.draw()
        return figure

    with house_style():
        yield draw
    plt.close("all")


def panels(figure):
    """The axes by family and column."""
    return np.array(figure.axes).reshape(-1, 4)


def lines_of(axes, run):
    """The curves of a run, without crosses."""
    return [line for line in axes.lines if line.get_color() == STYLES[run].color and line.get_marker() != "x"]


def crosses(axes):
    return [line for line in axes.lines if line.get_marker() == "x"]


def bands(axes):
    return [artist for artist in axes.collections if isinstance(artist, FillBetweenPolyCollection)]


def targets(axes):
    return [line for line in axes.lines if line.get_color() == "0.4"]


def legend_texts(figure):
    return [[text.get_text() for text in row[0].get_legend().get_texts()] for row in panels(figure)]


TWO = [*curve_rows("sgd"), *curve_rows("adam", evaluations=4)]


def test_figure_is_found_by_its_name_and_its_tools_are_not():
    assert "training_curves" in plotting.available()
    with pytest.raises(ConfigurationError, match=r"there is no figure 'style'; there are .*training_curves"):
        plotting.load("style")


def test_each_family_has_a_row_with_a_line_and_a_band_for_each_of_its_runs(draw):
    rows = panels(draw([*TWO, *curve_rows("lbfgs")]))
    for row, members in zip(rows, (["sgd", "adam"], ["lbfgs"]), strict=True):
        for axes in row:
            assert [len(lines_of(axes, run)) for run in CONTEXT.labels] == [
                int(run in members) for run in CONTEXT.labels
            ]
            assert len(bands(axes)) == len(members)


def test_runs_of_other_families_are_grey_lines_in_every_row(draw):
    rows = panels(draw([*TWO, *curve_rows("lbfgs")]))
    for row, others in zip(rows, (1, 2), strict=True):
        grey = [[c for c in axes.collections if isinstance(c, LineCollection)] for axes in row]
        assert {len(drawn.get_segments()) for collections in grey for drawn in collections} == {others}
        assert {to_hex(drawn.get_color()[0]) for collections in grey for drawn in collections} == {to_hex(OTHER_RUNS)}


@pytest.mark.parametrize(("column", "position", "unit"), COLUMNS)
def test_lines_show_the_means(draw, column, position, unit):
    (line,) = lines_of(panels(draw(TWO))[0, column], "sgd")
    evaluations = np.arange(1 if position in ("step", "seconds") else 0, 5)
    mean = 0.5 - 0.08 * evaluations if column < 2 else 100 * (1 - (0.5 + 0.08 * evaluations))
    np.testing.assert_allclose(line.get_xdata(), unit * evaluations)
    np.testing.assert_allclose(line.get_ydata(), mean)


@pytest.mark.parametrize(("column", "low", "high"), [(1, 0.48, 0.54), (2, 46.0, 52.0)], ids=["loss", "error"])
def test_band_reaches_from_the_low_to_the_high_end(draw, column, low, high):
    """At the first evaluation: 0.5 − 0.02 and 0.5 + 0.04, which as an error in percent are 52 and 46."""
    (path,) = bands(panels(draw(curve_rows("sgd")))[0, column])[0].get_paths()
    at_start = path.vertices[path.vertices[:, 0] == 0][:, 1]
    assert (at_start.min(), at_start.max()) == pytest.approx((low, high))


def test_runs_keep_their_style_whoever_else_is_drawn(draw):
    for curves in (TWO, curve_rows("adam")):
        (line,) = lines_of(panels(draw(curves))[0, 0], "adam")
        assert (line.get_marker(), line.get_linestyle()) == (STYLES["adam"].marker, STYLES["adam"].linestyle)


def test_row_names_its_family_and_the_runs_in_the_order_of_the_configuration(draw):
    figure = draw([*TWO[::-1], *curve_rows("lbfgs")])
    assert legend_texts(figure) == [["First order", "SGD", "Adam"], ["Quasi-Newton", "L-BFGS"]]


def test_target_is_a_line_at_its_error_in_every_panel_of_errors(draw):
    for column, panel in enumerate(panels(draw(TWO))[0]):
        assert [line.get_ydata()[0] for line in targets(panel)] == pytest.approx([] if column < 2 else [10])


def test_metric_that_is_better_when_lower_is_drawn_as_it_is():
    curves = [row | {"metric": row["metric"].replace("accuracy", "squared_error")} for row in curve_rows("sgd")]
    context = dataclasses.replace(IN_FAMILIES, metrics={"mnist_mlp": SQUARED_RECONSTRUCTION_ERROR.to_mapping()})
    with house_style():
        axes = panels(plotting.load("training_curves").draw(tables(curves), context))[0, 2]
    (line,) = lines_of(axes, "sgd")
    np.testing.assert_allclose(line.get_ydata(), 0.5 + 0.08 * np.arange(5))
    assert axes.get_ylabel() == "Validation\nsquared error"
    assert [list(target.get_ydata()) for target in targets(axes)] == [[0.9, 0.9]]
    plt.close("all")


def test_other_problems_are_left_out(draw):
    assert legend_texts(draw([*TWO, *curve_rows("lbfgs", problem="other")])) == [["First order", "SGD", "Adam"]]


def test_updates_and_seconds_are_logarithmic_and_errors_and_losses_too(draw):
    (axes,) = panels(draw(TWO))
    assert [axis.get_xscale() for axis in axes] == ["log", "linear", "linear", "log"]
    assert {axis.get_yscale() for axis in axes} == {"log"}


def test_panels_of_one_metric_share_its_scale(draw):
    rows = panels(draw([*TWO, *curve_rows("lbfgs")]))
    for columns in ((0, 1), (2, 3)):
        assert len({axes.get_ylim() for axes in rows[:, columns].flat}) == 1


def test_axes_are_named(draw):
    (axes,) = panels(draw(TWO))
    work = "Gradient-equivalents"
    assert [axis.get_xlabel() for axis in axes] == ["Updates", work, work, "Training seconds"]
    assert [axis.get_ylabel() for axis in axes] == ["Training loss", "", "Validation\nerror (%)", ""]


def test_cross_marks_the_end_of_a_run_with_a_diverged_seed(draw):
    for axes in panels(draw(TWO, diverged=["adam"])).flat:
        (cross,) = crosses(axes)
        (line,) = lines_of(axes, "adam")
        assert cross.get_color() == STYLES["adam"].color
        assert (cross.get_xdata()[-1], cross.get_ydata()[-1]) == (line.get_xdata()[-1], line.get_ydata()[-1])


def test_without_divergence_there_is_no_cross(draw):
    assert not any(crosses(axes) for axes in panels(draw(TWO)).flat)


@pytest.mark.parametrize(("verified", "texts"), [(False, [NOTE]), (True, [])])
def test_note_on_unverified_data(draw, verified, texts):
    assert [text.get_text() for text in draw(TWO, verified=verified).texts] == texts


def test_note_is_inside_the_figure_and_below_the_axes(draw):
    figure = draw(TWO, verified=False, on_paper=True)
    note = figure.texts[0].get_window_extent()
    assert figure.bbox.contains(note.x0, note.y0)
    assert figure.bbox.contains(note.x1, note.y1)
    assert note.y1 <= min(axes.get_tightbbox().y0 for axes in figure.axes)


def test_single_seed_has_a_line_without_a_band(draw):
    axes = panels(draw(curve_rows("sgd", width=math.nan), on_paper=True))[0, 1]
    (line,) = lines_of(axes, "sgd")
    np.testing.assert_allclose(line.get_ydata(), 0.5 - 0.08 * np.arange(5))
    assert not any(len(path.vertices) for band in bands(axes) for path in band.get_paths())


def test_run_without_any_curve_is_left_out(draw):
    figure = draw(TWO, diverged=["lbfgs"], on_paper=True)
    assert legend_texts(figure) == [["First order", "SGD", "Adam"]]
    assert not any(crosses(axes) for axes in panels(figure).flat)


def test_run_that_ends_at_the_start_is_drawn_where_there_is_room_for_it(draw):
    axes = panels(draw(curve_rows("sgd", evaluations=1), diverged=["sgd"], on_paper=True))
    assert [len(crosses(panel)) for panel in axes[0]] == [0, 1, 1, 0]


def test_no_curve_at_all_still_gives_a_figure(draw):
    figure = draw([], diverged=["sgd", "adam", "lbfgs"], on_paper=True)
    assert [len(targets(panel)) for panel in panels(figure)[0]] == [0, 0, 1, 1]


def test_drawing_changes_no_table(draw):
    given = tables(TWO)
    copies = {name: table.copy() for name, table in given.items()}
    plotting.load("training_curves").draw(given, CONTEXT)
    for name, table in given.items():
        assert table.equals(copies[name])


def test_caption_names_problem_and_level():
    caption = plotting.load("training_curves").caption(CONTEXT)
    assert caption.startswith("Training on mnist_mlp, a row per family of methods")
    assert "95% confidence band" in caption


def test_every_row_labels_short_logarithmic_axes_in_plain_numbers(draw):
    rows = panels(draw([*TWO, *curve_rows("lbfgs")], on_paper=True))
    for axes in rows[:, 2]:
        assert {"20", "50"} <= {label.get_text() for label in axes.get_yticklabels()}
