"""The figures of the curvature stage show what is in its tables."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from curvature_frames import directions, everything, full_hessian, growth, spectrum
from drawn_tables import CONTEXT
from matplotlib.collections import FillBetweenPolyCollection

from secondorder import plotting
from secondorder.plotting import approximation_kinds
from secondorder.plotting.product_methods import method_styles
from secondorder.plotting.style import family_styles, house_style, run_styles

FIGURES = (
    "approximate_eigenvalues",
    "approximation_cost",
    "exact_hessian_error",
    "exact_hessian_growth",
    "product_error",
    "product_cost",
    "full_hessian",
    "hessian_spectrum",
    "newton_ascent",
    "newton_direction",
    "sharpness",
    "spectral_density",
)
STYLES = family_styles(list(CONTEXT.labels), {})
NOTE = "Made with data that fails its published checksums."


@pytest.fixture
def draw():
    """Draw from the tables, some of which may be replaced; ``on_paper`` lays everything out as for a file."""

    def draw(name, verified=True, on_paper=False, **replaced):
        figure = plotting.load(name).draw({**everything(verified=verified), **replaced}, CONTEXT)
        if on_paper:
            figure.canvas.draw()
        return figure

    with house_style():
        yield draw
    plt.close("all")


def points(axes, color):
    """Return all points drawn in a colour, in the order of drawing."""
    lines = [line for line in axes.lines if line.get_color() == color]
    return [(x, y) for line in lines for x, y in zip(line.get_xdata(), line.get_ydata(), strict=True)]


def grid(figure, rows, columns):
    return np.array(figure.axes).reshape(rows, columns)


def legend_texts(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()]


@pytest.mark.parametrize("name", FIGURES)
def test_drawing_changes_no_table(draw, name):
    given = everything()
    copies = {table: frame.copy() for table, frame in given.items()}
    draw(name, **given)
    for table, frame in given.items():
        pd.testing.assert_frame_equal(frame, copies[table])


@pytest.mark.parametrize("name", FIGURES)
@pytest.mark.parametrize(("verified", "texts"), [(True, []), (False, [NOTE])])
def test_note_on_unverified_data(draw, name, verified, texts):
    assert [text.get_text() for text in draw(name, verified=verified).texts] == texts


@pytest.mark.parametrize("name", FIGURES)
def test_nothing_is_drawn_outside_of_the_figure(draw, name):
    figure = draw(name, on_paper=True)
    for axes in figure.axes:
        box = axes.get_tightbbox()
        assert box.x0 >= -1
        assert box.x1 <= figure.bbox.x1 + 1
        assert box.y0 >= -1
        assert box.y1 <= figure.bbox.y1 + 1


@pytest.mark.parametrize("name", FIGURES)
def test_caption_is_in_sentences(name):
    caption = plotting.load(name).caption(CONTEXT)
    assert caption[0].isupper()
    assert caption.endswith(".")


# Errors


def test_each_kind_of_case_is_a_row_and_controls_come_last(draw):
    left = draw("exact_hessian_error").axes[0]
    labels = [label.get_text() for label in left.get_yticklabels()]
    assert labels == [
        "perceptron, cross-entropy, 16 samples",
        "perceptron, fitted to 1 - p = 1e-04",
        "wrong: one sign flipped, cross-entropy",
    ]


def test_errors_are_where_they_are_and_zero_is_at_the_edge(draw):
    eigenvalues, matrices, direct = draw("exact_hessian_error").axes
    relu = run_styles(["relu", "tanh", "gelu", "softplus"])["relu"].color
    assert [x for x, _ in points(eigenvalues, relu)] == [1e-15, 1e-13, 0.1]
    assert [round(y) for _, y in points(eigenvalues, relu)] == [0, 1, 2]
    assert [x for x, _ in points(matrices, relu)] == [1e-18] * 3
    assert [x for x, _ in points(direct, relu)] == [1e-15, 1e-13]


def test_each_row_has_its_tolerance(draw):
    ticks = sorted((y, x) for x, y in points(draw("exact_hessian_error").axes[0], "black"))
    assert ticks == [(0, 1e-12), (1, 1e-11), (2, 1e-12)]


# Growth


def test_lines_show_seconds_memory_and_errors(draw):
    seconds, memory, errors = draw("exact_hessian_growth").axes
    exact, dense = (style.color for style in run_styles(["exact", "dense"]).values())
    assert points(seconds, exact) == [(100, 1e-3), (1000, 1e-2), (100_000, 1)]
    assert points(seconds, dense) == [(100, 1e-3)]
    assert points(memory, exact) == [(100, 100), (1000, 1000), (100_000, 100_000)]
    assert points(errors, exact) == [(100, 1e-15), (1000, 1e-15), (100_000, 1e-15)]
    assert sum(isinstance(artist, FillBetweenPolyCollection) for artist in seconds.collections) == 2


def test_limit_is_where_the_matrix_fills_the_memory(draw):
    for axes in draw("exact_hessian_growth").axes[:2]:
        (limit,) = [line for line in axes.lines if line.get_color() == "0.4"]
        assert limit.get_xdata() == pytest.approx([10_000, 10_000])


def test_without_a_matrix_that_is_too_large_there_is_no_limit(draw):
    numbers, timing = (frame[frame["parameters"] < 5000] for frame in growth())
    figure = draw("exact_hessian_growth", growth=numbers, growth_timing=timing)
    assert not any(line.get_color() == "0.4" for axes in figure.axes for line in axes.lines)


# Products


METHODS = method_styles()


def test_there_is_a_panel_per_dtype_and_network(draw):
    axes = grid(draw("product_error"), 2, 3)
    assert [panel.get_ylabel() for panel in axes[:, 0]] == ["Relative error, float64", "Relative error, float32"]
    assert [panel.get_title() for panel in axes[0]] == ["Perceptron", "Convolutions, batch norm", "Recurrent"]


def test_errors_are_over_their_steps_and_refused_steps_are_left_out(draw):
    for panel in draw("product_error").axes[:3]:
        assert points(panel, METHODS["complex_step"].color) == [(1e-30, 1e-15), (1e-8, 1e-15), (1e-2, 1e-3)]
        assert points(panel, METHODS["finite_difference"].color) == [(1e-8, 1e-1), (1e-4, 1e-5), (1e-2, 1e-3)]


def test_methods_without_a_step_are_horizontal_lines_and_no_error_is_at_the_edge(draw):
    panel = draw("product_error").axes[0]
    assert [y for _, y in points(panel, METHODS["r_operator"].color)] == [1e-15, 1e-15]
    assert [y for _, y in points(panel, METHODS["double_backward"].color)] == [1e-18, 1e-18]


def test_tolerance_of_each_dtype_is_a_line(draw):
    axes = grid(draw("product_error"), 2, 3)
    for row, tolerance in zip(axes, (1e-14, 2e-6), strict=True):
        for panel in row:
            assert [y for _, y in points(panel, "0.4")] == [tolerance, tolerance]


def test_smaller_steps_are_further_left_and_digits_have_room(draw):
    panel = draw("product_error", on_paper=True).axes[0]
    left, middle, right = (panel.transData.transform((step, 1.0))[0] for step in (1e-30, 1e-8, 1e-2))
    assert left < middle < right
    assert middle - left < 1.5 * (right - middle)


def test_costs_are_over_batches_at_the_largest_width_and_over_widths_at_the_largest_batch(draw):
    over_batches, over_widths, *_ = draw("product_cost").axes
    solid = [line for line in over_batches.lines if line.get_color() == METHODS["r_operator"].color]
    floor, time = solid
    assert (list(time.get_xdata()), list(time.get_ydata())) == ([16, 64], [2, 3])
    assert (list(floor.get_xdata()), list(floor.get_ydata())) == ([16, 64], [1, 1])
    _, time = (line for line in over_widths.lines if line.get_color() == METHODS["r_operator"].color)
    assert (list(time.get_xdata()), list(time.get_ydata())) == ([32, 64], [2, 3])


def test_memory_has_no_floor(draw):
    memory = draw("product_cost").axes[2]
    assert points(memory, METHODS["r_operator"].color) == [(16, 3), (64, 3)]


def test_panels_of_one_quantity_share_their_scale(draw):
    axes = grid(draw("product_cost", on_paper=True), 2, 4)
    for left, right in ((0, 1), (2, 3)):
        for row in axes:
            assert row[left].get_ylim() == row[right].get_ylim()


# The whole Hessian


def test_magnitudes_are_at_their_ranks_in_the_colour_of_their_sign_and_zeros_are_left_out(draw):
    magnitudes = draw("full_hessian").axes[0]
    positive, negative = (style.color for style in run_styles(["positive", "negative"]).values())
    assert points(magnitudes, positive) == [(1, 8), (2, 4), (4, 0.5), (5, 0.25)]
    assert points(magnitudes, negative) == [(3, 2), (6, 0.125)]


def test_legend_counts_the_signs(draw):
    assert legend_texts(draw("full_hessian")) == ["4 positive", "2 negative", "2 zero"]


def test_leading_eigenpairs_leave_the_norm_of_the_others(draw):
    left_over = draw("full_hessian").axes[1]
    squares = [64, 16, 4, 0.25, 0.0625, 0.015625]
    (curve,) = [line for line in left_over.lines if line.get_color() != "0.4"]
    expected = [(sum(squares[k:]) / sum(squares)) ** 0.5 for k in range(1, 6)]
    assert list(curve.get_xdata()) == [1, 2, 3, 4, 5]
    assert list(curve.get_ydata()) == pytest.approx(expected)


def test_one_less_than_the_classes_is_marked(draw):
    for panel in draw("full_hessian").axes:
        (line,) = [line for line in panel.lines if line.get_color() == "0.4"]
        assert list(line.get_xdata()) == [2, 2]


@pytest.mark.parametrize(
    ("passed", "title"),
    [(True, "cpu, error 3e-15"), (False, "cpu, error 3e-15: certificate failed")],
    ids=["passed", "failed"],
)
def test_titles_say_what_was_decomposed_where_and_how_well(draw, passed, title):
    numbers, timing = full_hessian(passed=passed)
    figure = draw("full_hessian", full_hessian=numbers, full_hessian_timing=timing)
    assert [panel.get_title() for panel in figure.axes] == ["784-2-3, P = 8, 1,000 images, 5 epochs", title]


# Spectra


def test_there_is_a_panel_per_run_kind_and_share(draw):
    axes = grid(draw("hessian_spectrum"), 4, 2)
    labels = [panel.get_ylabel() for panel in axes[:, 0]]
    assert labels == ["SGD, 1 sample", "SGD, 2 samples", "Adam, 1 sample", "Adam, 2 samples"]
    assert [panel.get_title() for panel in axes[0]] == ["0% of the budget", "100% of the budget"]


def test_magnitudes_descend_and_zeros_are_left_out(draw):
    positive, negative = draw("hessian_spectrum").axes[0].lines
    assert list(positive.get_ydata()) == [4, 1]
    assert list(negative.get_ydata()) == [2, 1]
    assert list(negative.get_xdata()) == [1, 2]


def test_run_that_ended_early_has_an_empty_panel(draw):
    table = spectrum()
    table = table[(table["run"] == "sgd") | (table["share"] < 1)]
    axes = grid(draw("hessian_spectrum", spectrum=table), 4, 2)
    assert len(axes[0, 1].lines) == 2
    assert len(axes[2, 1].lines) == 0


def test_spectrum_of_nothing_is_still_a_figure(draw):
    draw("hessian_spectrum", spectrum=spectrum().iloc[:0], on_paper=True)


# Ascents


def test_ascents_are_percentages_of_hessians(draw):
    figure = draw("newton_ascent")
    lines = ["Newton, damping 0", "Newton, damping 0.1", "absolute"]
    assert legend_texts(figure) == lines
    styles = run_styles(lines)
    axes = np.array(figure.axes).reshape(2, 4)
    for row in axes:
        for panel in row[:2]:
            assert points(panel, styles["Newton, damping 0.1"].color) == [(0, 0), (100, 50)]
            assert points(panel, styles["absolute"].color) == [(0, 0), (100, 0)]


def test_medians_stand_behind_the_ascents(draw):
    axes = np.array(draw("newton_ascent").axes).reshape(2, 4)
    assert points(axes[0, 2], STYLES["sgd"].color) == [(0, pytest.approx(35)), (100, pytest.approx(35))]
    assert points(axes[1, 2], STYLES["sgd"].color) == [(0, pytest.approx(32.5)), (100, pytest.approx(32.5))]
    assert points(axes[0, 3], STYLES["adam"].color) == [(0, pytest.approx(20)), (100, pytest.approx(20))]


def test_single_run_takes_less_room(draw):
    assert len(draw("newton_ascent", directions=directions(runs=("adam",))).axes) == 2 * 3


# Sharpness


def test_each_seed_is_a_marker_unless_it_has_no_number(draw):
    axes = np.array(draw("sharpness").axes).reshape(2, 2)
    counts = [[len(points(panel, STYLES[run].color)) for run in ("sgd", "adam")] for panel in axes.flat]
    assert counts == [[3, 2], [3, 2], [2, 3], [3, 3]]
    assert points(axes[0, 0], STYLES["sgd"].color)[1] == pytest.approx((11, 0.11))


def test_rank_correlation_is_over_the_networks_that_are_shown(draw):
    titles = [axes.get_title(loc="right") for axes in draw("sharpness").axes]
    assert titles == [f"rank correlation 1.00 over {count} networks" for count in (5, 5, 5, 6)]


def test_two_networks_have_no_correlation(draw):
    table = everything()["sharpness"].iloc[:2]
    assert draw("sharpness", sharpness=table).axes[0].get_title(loc="right") == ""


# Approximations


def test_eigenvalues_of_the_greatest_effort_at_the_end_are_over_the_exact_ones(draw):
    iterative, structured = draw("approximate_eigenvalues", on_paper=True).axes
    lanczos, *certified = (line for line in iterative.lines if line.get_marker() != "None")
    assert lanczos.get_markerfacecolor() == "none"
    assert [line.get_markerfacecolor() == line.get_color() for line in certified] == [True, True]
    assert list(lanczos.get_xdata()) == [10, -1, 10, -1]
    assert list(lanczos.get_ydata()) == pytest.approx([9.8, -0.98, 9.6, -0.96])
    kfac, _ = (line for line in structured.lines if line.get_marker() != "None")
    assert list(kfac.get_ydata()) == [5, -0.5]


def test_errors_are_over_costs_and_what_is_beyond_is_at_the_edges(draw):
    figure = draw("approximation_cost")
    styles = approximation_kinds.method_styles(everything()["approximations"])
    shown = {"exact", "Lanczos", "ARPACK, R-operator", "L-BFGS"}
    assert set(legend_texts(figure)) == shown
    gradients, seconds, mebibytes = (row[0] for row in grid(figure, 3, 4))
    for panel, scale in ((gradients, 1), (seconds, 100), (mebibytes, 1)):
        baseline, curve = [line for line in panel.lines if len(line.get_xdata()) == 2]
        assert list(baseline.get_ydata()) == [1, 1]
        assert list(curve.get_xdata()) == pytest.approx([5 / scale, 20 / scale])
        assert list(curve.get_ydata()) == pytest.approx([0.3, 0.03])
        assert [y for _, y in points(panel, styles["exact"].color)] == [1e-3, 1e-3]
        assert [y for _, y in points(panel, styles["L-BFGS"].color)] == [10, 10]


def test_iteration_that_did_not_converge_everywhere_is_hollow(draw):
    panel = draw("approximation_cost").axes[0]
    hollow = [line for line in panel.lines if line.get_markerfacecolor() == "white" and len(line.get_xdata())]
    assert [list(line.get_xdata()) for line in hollow] == [[5]]


def test_kinds_share_a_colour_and_their_methods_have_markers():
    styles = approximation_kinds.method_styles(everything()["approximations"])
    assert styles["K-FAC"].color == styles["L-BFGS"].color != styles["Lanczos"].color
    assert styles["K-FAC"].marker != styles["L-BFGS"].marker


def test_methods_with_a_direction_are_rows_and_shares_are_markers(draw):
    figure = draw("newton_direction")
    (panel,) = figure.axes
    labels = [label.get_text() for label in panel.get_yticklabels()]
    assert labels[:3] == ["no curvature", "Lanczos, 5 products", "Lanczos, 20 products"]
    assert "Hutchinson trace, 2 probes" not in labels
    assert "exact" not in labels
    assert legend_texts(figure) == ["0% of the budget", "100% of the budget"]
    at_end = run_styles(["0%", "100%"])["100%"].color
    assert [x for x, _ in points(panel, at_end)][:3] == pytest.approx([0, 0.7, 0.97])


def test_densities_are_shares_of_all_eigenvalues_by_sign(draw):
    axes = grid(draw("spectral_density"), 2, 2)
    exact = run_styles(["exact", "K-FAC"])["exact"].color
    for negative, positive in axes:
        assert points(negative, exact) == [(2, pytest.approx(0.05))]
        assert points(positive, exact) == [(2, pytest.approx(0.1))]
