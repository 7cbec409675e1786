"""Rankings of runs and their rank correlations, on cases counted by hand."""

import math

import pandas as pd
import pytest

from secondorder.statistics.rankings import higher_is_better, rank_correlation, rank_runs, rank_under_conditions

NAN = math.nan


def ranked(values, diverged=(), higher=True):
    runs = [f"run_{place}" for place in range(len(values))]
    lost = pd.Series([place in diverged for place in range(len(values))], runs)
    return rank_runs(pd.Series(values, runs), lost, higher_is_better=higher).tolist()


@pytest.mark.parametrize(
    ("arguments", "ranks"),
    [
        pytest.param({"values": [90.0, 95.0, 80.0]}, [2, 1, 3], id="accuracy"),
        pytest.param({"values": [0.2, 0.1, 0.4], "higher": False}, [2, 1, 3], id="loss"),
        pytest.param({"values": [90.0, 95.0, 95.0, 80.0]}, [3, 1, 1, 4], id="ties share the smaller rank"),
        pytest.param({"values": [NAN, 95.0, 80.0], "diverged": [0]}, [3, 1, 2], id="diverged is last"),
        pytest.param({"values": [99.0, 95.0], "diverged": [0]}, [2, 1], id="diverged is last whatever it reached"),
        pytest.param({"values": [NAN, 95.0, NAN], "diverged": [0, 2]}, [2, 1, 2], id="two diverged"),
    ],
)
def test_ranks(arguments, ranks):
    assert ranked(**arguments) == ranks


@pytest.mark.parametrize(
    ("first", "second", "tau"),
    [
        pytest.param([1, 2, 3, 4], [1, 2, 3, 4], 1, id="equal"),
        pytest.param([1, 2, 3, 4], [4, 3, 2, 1], -1, id="opposite"),
        # Of six pairs five agree and one does not.
        pytest.param([1, 2, 3, 4], [1, 2, 4, 3], 4 / 6, id="one exchange"),
        # Two pairs agree, one is tied in the second: 2 / sqrt(3 * 2).
        pytest.param([1, 2, 3], [1, 2, 2], 2 / math.sqrt(6), id="a tie"),
        pytest.param([1, 2, NAN, 3], [1, 2, 3, NAN], 1, id="over those in both"),
        pytest.param([1, 1], [1, 2], NAN, id="nothing but ties"),
        pytest.param([1], [1], NAN, id="one run"),
    ],
)
def test_rank_correlation(first, second, tau):
    assert rank_correlation(pd.Series(first), pd.Series(second)) == pytest.approx(tau, abs=1e-15, nan_ok=True)


def finals(**means):
    rows = [
        {"problem": problem, "run": run, "better": "higher", "mean": mean, "diverged": int(math.isnan(mean))}
        for problem, by_run in means.items()
        for run, mean in by_run.items()
    ]
    return pd.DataFrame(rows)


def test_conditions_rank_the_runs_that_all_of_them_have():
    given = finals(base={"a": 90.0, "b": 95.0, "c": 80.0, "d": 99.0}, decay={"a": 91.0, "b": NAN, "c": 92.0})
    table = rank_under_conditions(given, ["base", "decay"], "base").set_index(["problem", "run"])
    assert table.loc["base", "rank"].to_dict() == {"a": 2, "b": 1, "c": 3}
    assert table.loc["decay", "rank"].to_dict() == {"a": 2, "b": 3, "c": 1}
    assert table.loc["base", "correlation"].tolist() == [1, 1, 1]
    assert table.loc["decay", "correlation"].tolist() == [-1, -1, -1]


@pytest.mark.parametrize(("better", "expected"), [("higher", True), ("lower", False)])
def test_direction_is_read_from_the_rows(better, expected):
    rows = pd.DataFrame({"problem": "p", "run": ["a", "b"], "mean": [0.1, 0.2], "diverged": 0, "better": better})
    assert higher_is_better(rows) is expected
    best = rank_under_conditions(rows, ["p"], "p").set_index("run")["rank"].idxmin()
    assert best == ("b" if expected else "a")
