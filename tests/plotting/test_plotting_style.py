"""One style for all figures, which stays inside its block."""

import itertools

import matplotlib as mpl
import pytest
from matplotlib.colors import rgb_to_hsv

from secondorder.families import FAMILIES
from secondorder.plotting.style import family_styles, house_style, run_styles

RUNS = [f"run_{place}" for place in range(30)]


def test_first_thirty_runs_are_told_apart():
    styles = run_styles(RUNS).values()
    assert len({(style.color, style.marker, style.linestyle) for style in styles}) == 30


def test_first_ten_runs_have_ten_colours_and_ten_markers():
    styles = list(run_styles(RUNS[:10]).values())
    assert len({style.color for style in styles}) == 10
    assert len({style.marker for style in styles}) == 10
    assert {style.linestyle for style in styles} == {"-"}


def test_colours_of_the_first_ten_are_visibly_different():
    """At least 0.15 apart in red, green and blue, where the diagonal of the cube is 1.7."""
    colors = [style.color for style in run_styles(RUNS[:10]).values()]
    for one, other in itertools.combinations(colors, 2):
        assert sum((a - b) ** 2 for a, b in zip(one, other, strict=True)) ** 0.5 > 0.15


def test_style_is_decided_by_the_place_alone():
    assert list(run_styles(RUNS).values()) == list(run_styles([f"other_{run}" for run in RUNS]).values())


@pytest.mark.parametrize("count", [1, 5, 12, 29])
def test_appending_a_run_changes_no_other(count):
    styles = run_styles(RUNS)
    assert run_styles(RUNS[:count]) == {run: styles[run] for run in RUNS[:count]}


IN_FAMILIES = {f"{family}_{place}": family for place in range(5) for family in FAMILIES}


def test_members_of_families_of_five_are_told_apart_in_one_hue():
    styles = family_styles(list(IN_FAMILIES), IN_FAMILIES)
    assert len({(style.color, style.marker) for style in styles.values()}) == len(IN_FAMILIES) == 50
    for family in FAMILIES:
        members = [styles[f"{family}_{place}"] for place in range(5)]
        hues = [rgb_to_hsv(style.color)[0] for style in members if rgb_to_hsv(style.color)[1] > 0.01]
        assert max(hues, default=0) - min(hues, default=0) < 1e-6


def test_colours_of_families_are_visibly_different():
    colors = [family_styles([family], {family: family})[family].color for family in FAMILIES]
    for one, other in itertools.combinations(colors, 2):
        assert sum((a - b) ** 2 for a, b in zip(one, other, strict=True)) ** 0.5 > 0.15


def test_run_that_is_added_to_a_family_changes_no_other():
    runs = list(IN_FAMILIES)
    styles = family_styles(runs, IN_FAMILIES)
    assert family_styles(runs[:-7], IN_FAMILIES) == {run: styles[run] for run in runs[:-7]}
    assert family_styles(["sgd"], {}) == {"sgd": family_styles(["sgd"], {"sgd": "other"})["sgd"]}


def test_house_style_is_in_force_inside_and_gone_outside():
    before = dict(mpl.rcParams)
    with house_style():
        assert mpl.rcParams["pdf.fonttype"] == 42
        assert mpl.rcParams["axes.spines.top"] is False
    assert dict(mpl.rcParams) == before


def test_house_style_is_gone_after_an_error():
    before = dict(mpl.rcParams)

    def fail():
        with house_style():
            mpl.rcParams["font.size"] = 20
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert dict(mpl.rcParams) == before


def test_house_style_does_not_depend_on_what_the_user_has_set():
    with mpl.rc_context({"lines.linewidth": 9.0, "axes.facecolor": "red", "text.usetex": True}), house_style():
        inside = dict(mpl.rcParams)
    with house_style():
        assert dict(mpl.rcParams) == inside
