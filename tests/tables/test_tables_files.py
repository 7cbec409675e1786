"""The three files of a table say the same, each in its own way; they are read back here, not compared as a whole."""

import csv
import io
import math
import re

import pandas as pd
import pytest

from secondorder import tables
from secondorder.errors import ConfigurationError
from secondorder.presentation import Context
from secondorder.tables.table import Table, write_table

LABELS = {"sgd": "SGD", "lbfgs": "L-BFGS", "odd": "50% of A&B_#1 {x} $y^2~ \\z |w|"}
CONTEXT = Context(labels=LABELS, targets={"mnist_mlp": 0.9}, confidence=0.95, exclusive=True)
SEEDS = pd.DataFrame({"problem": ["mnist_mlp"], "data_verified": [True]})
UNVERIFIED = pd.DataFrame({"problem": ["mnist_mlp"] * 2, "data_verified": [True, False]})
NOTE = "Made with data that fails its published checksums."


def final_rows(**changes):
    row = {
        "problem": "mnist_mlp",
        "run": "sgd",
        "metric": "accuracy (%)",
        "better": "higher",
        "seeds": 3,
        "mean": 97.123456789012,
        "ci_low": 96.0,
        "ci_high": 98.005,
        "diverged": 0,
    }
    return pd.DataFrame([{**row, **changes}])


def times_rows(**changes):
    row = {"problem": "mnist_mlp", "run": "sgd", "metric": "accuracy (%)", "better": "higher"}
    row |= {"target": 90.0, "seeds": 3, "reached": 3}
    for position, value in {"epoch": 2.25, "step": 220.0, "gradient_equivalents": 224.6, "seconds": 1.234567}.items():
        row |= {position: value, f"{position}_min": value, f"{position}_max": value}
    return pd.DataFrame([{**row, **changes}])


def finals(seeds=SEEDS, context=CONTEXT, **changes):
    return tables.load("final_metric").build({"final_metric": final_rows(**changes), "seeds": seeds}, context)


def times(seeds=SEEDS, context=CONTEXT, **changes):
    return tables.load("time_to_target").build({"time_to_target": times_rows(**changes), "seeds": seeds}, context)


@pytest.fixture
def written(tmp_path):
    """Write a table; return its files' texts by suffix."""

    def write(table):
        paths = [tmp_path / f"table.{suffix}" for suffix in ("csv", "md", "tex")]
        write_table(table, *paths)
        return {path.suffix: path.read_text(encoding="utf-8") for path in paths}

    return write


def csv_rows(text):
    return list(csv.DictReader(io.StringIO(text)))


def markdown_rows(text):
    lines = [line for line in text.splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]
    assert len({len(row) for row in cells}) == 1, "every row has as many cells as the head"
    assert all(re.fullmatch(r":?-+:?", cell) for cell in cells[1])
    return [dict(zip(cells[0], row, strict=True)) for row in cells[2:]]


def latex_rows(text):
    body = text.split(r"\toprule")[1].split(r"\bottomrule")[0]
    lines = [line.strip() for line in body.splitlines() if r"\\" in line and "rule" not in line]
    cells = [[cell.strip() for cell in re.split(r"(?<!\\)&", line.removesuffix(r"\\"))] for line in lines]
    columns = re.search(r"\\begin\{tabular\}\{(\w+)\}", text).group(1)
    assert {len(row) for row in cells} == {len(columns)}, "every row has as many cells as there are columns"
    return [dict(zip(cells[0], row, strict=True)) for row in cells[1:]]


def unescaped(text):
    """What LaTeX prints for a text that has been escaped; each escape is one that LaTeX knows."""
    known = {
        r"\textbackslash{}": "\\", r"\textasciitilde{}": "~", r"\textasciicircum{}": "^", r"\%": "%", r"\_": "_",
        r"\&": "&", r"\#": "#", r"\{": "{", r"\}": "}", r"\$": "$",
    }  # fmt: skip
    parts = re.split("(" + "|".join(map(re.escape, known)) + ")", text)
    assert not re.search(r"[\\%_&#{}$~^]", "".join(parts[::2])), "nothing special is left"
    return "".join(known.get(part, part) for part in parts)


def test_available():
    assert {"final_metric", "time_to_target"} <= set(tables.available())
    assert "table" not in tables.available(), "a module that tables share"


def test_unknown_table():
    with pytest.raises(ConfigurationError, match=r"there is no table 'table'; there are approximations, "):
        tables.load("table")


def test_final_metric_csv_has_these_columns(written):
    head = written(finals())[".csv"].splitlines()[0]
    assert head == "problem,metric,better,optimizer,seeds,mean,ci_low,ci_high,diverged"


def test_csv_has_full_precision_and_plain_names(written):
    (row,) = csv_rows(written(finals())[".csv"])
    assert (row["problem"], row["optimizer"], row["seeds"], row["diverged"]) == ("mnist_mlp", "sgd", "3", "0")
    assert float(row["mean"]) == 97.123456789012
    assert float(row["ci_high"]) == 98.005


def test_csv_has_unix_line_ends(written, tmp_path):
    written(finals())
    assert b"\r" not in (tmp_path / "table.csv").read_bytes()


def test_csv_leaves_out_what_does_not_exist_and_writes_infinity(written):
    (row,) = csv_rows(written(finals(mean=math.nan, diverged=1))[".csv"])
    assert (row["mean"], row["diverged"]) == ("", "1")
    (row,) = csv_rows(written(times(epoch=math.inf, epoch_max=math.inf))[".csv"])
    assert float(row["epochs"]) == float(row["epochs_max"]) == math.inf


def test_time_to_target_csv_has_these_columns(written):
    spent = [
        f"{n}{end}" for n in ("epochs", "updates", "gradient_equivalents", "seconds") for end in ("", "_min", "_max")
    ]
    assert written(times())[".csv"].splitlines()[0].split(",") == [
        "problem", "metric", "better", "optimizer", "target", "seeds", "reached", *spent,
    ]  # fmt: skip


def test_markdown_shows_labels_and_rounds(written):
    assert markdown_rows(written(finals())[".md"]) == [
        {
            "problem": "mnist_mlp",
            "metric": "accuracy (%)",
            "better": "higher",
            "optimizer": "SGD",
            "seeds": "3",
            "mean": "97.12",
            "ci_low": "96.00",
            "ci_high": "98.00",
            "diverged": "0",
        }
    ]


def test_latex_shows_labels_and_rounds(written):
    (row,) = latex_rows(written(finals())[".tex"])
    assert {unescaped(name): unescaped(cell) for name, cell in row.items()} == {
        "problem": "mnist_mlp",
        "metric": "accuracy (%)",
        "better": "higher",
        "optimizer": "SGD",
        "seeds": "3",
        "mean": "97.12",
        "ci low": "96.00",
        "ci high": "98.00",
        "diverged": "0",
    }


def test_run_without_label_shows_its_name(written):
    texts = written(finals(run="other_run"))
    assert markdown_rows(texts[".md"])[0]["optimizer"] == "other_run"
    assert latex_rows(texts[".tex"])[0]["optimizer"] == r"other\_run"


def test_what_does_not_exist_is_a_dash(written):
    texts = written(finals(mean=math.nan, ci_low=math.nan, ci_high=math.nan))
    assert {markdown_rows(texts[".md"])[0][column] for column in ("mean", "ci_low", "ci_high")} == {"–"}
    assert {latex_rows(texts[".tex"])[0][column] for column in ("mean", "ci low", "ci high")} == {"--"}


def test_infinite_is_the_sign_for_it(written):
    missed = {f"{name}{end}": math.inf for name in ("epoch", "step") for end in ("", "_min", "_max")}
    texts = written(times(reached=0, **missed))
    assert [markdown_rows(texts[".md"])[0][column] for column in ("epochs", "updates")] == ["∞", "∞"]
    assert [latex_rows(texts[".tex"])[0][column] for column in ("epochs", "updates")] == [r"$\infty$", r"$\infty$"]


@pytest.mark.parametrize(
    ("changes", "shown"),
    [
        pytest.param({"epoch_min": 1.0, "epoch_max": 3.0}, "2.2 (1.0–3.0)", id="range"),
        pytest.param({"epoch_max": math.inf}, "2.2 (2.2–∞)", id="one missed"),
        pytest.param({"epoch": math.inf, "epoch_max": math.inf}, "∞ (2.2–∞)", id="half missed"),
        pytest.param({"epoch_min": 2.25, "epoch_max": 2.2501}, "2.2 (2.2–2.3)", id="range by rounding"),
        pytest.param({}, "2.2", id="no range"),
    ],
)
def test_smallest_and_largest_stand_behind_the_median(changes, shown):
    assert times(**changes).shown()["epochs"].tolist() == [shown]


def test_range_that_rounds_to_one_number_is_that_number():
    assert times(epoch=3.0, epoch_min=2.99, epoch_max=3.01).shown()["epochs"].tolist() == ["3.0"]


def test_merged_ranges_leave_one_column_each():
    columns = ["problem", "metric", "better", "optimizer", "target", "seeds", "reached"]
    columns += ["epochs", "updates", "gradient_equivalents", "seconds"]
    assert list(times().shown().columns) == columns


def test_digits_of_each_position():
    row = times().shown().iloc[0]
    assert row[["target", "updates", "gradient_equivalents", "seconds"]].tolist() == ["90.0", "220", "225", "1.23"]


def test_numbers_are_untouched_by_showing_them():
    table = times(epoch_max=math.inf)
    before = table.rows.copy()
    table.markdown(), table.latex()
    pd.testing.assert_frame_equal(table.rows, before)


def test_special_characters_of_a_label_are_escaped_in_latex(written):
    (row,) = latex_rows(written(finals(run="odd"))[".tex"])
    assert unescaped(row["optimizer"]) == LABELS["odd"]


def test_special_characters_of_a_label_do_not_break_markdown(written):
    (row,) = markdown_rows(written(finals(run="odd"))[".md"])
    assert row["optimizer"].replace(r"\|", "|") == LABELS["odd"]


def test_line_break_in_a_label_does_not_break_a_row(written):
    table = Table(finals().rows, "Caption.", labels={"sgd": "two\nlines"})
    texts = written(table)
    assert markdown_rows(texts[".md"])[0]["optimizer"] == "two lines"
    assert latex_rows(texts[".tex"])[0]["optimizer"] == "two lines"


def test_columns_of_names_are_left_and_of_numbers_right(written):
    texts = written(finals())
    assert r"\begin{tabular}{llllrrrrr}" in texts[".tex"]
    alignment = texts[".md"].splitlines()[1].strip("|").split("|")
    assert [cell.endswith(":") for cell in alignment] == [False] * 4 + [True] * 5


def test_latex_environments_are_balanced(written):
    text = written(finals(run="odd"))[".tex"]
    stack = []
    for kind, name in re.findall(r"\\(begin|end)\{(\w+)\}", text):
        if kind == "begin":
            stack.append(name)
        else:
            assert stack.pop() == name
    assert stack == []


def caption_in_latex(text):
    return unescaped(re.search(r"\\caption\{(.*?)\}\n", text, re.DOTALL).group(1))


def test_caption_is_in_markdown_and_latex(written):
    table = finals()
    texts = written(table)
    assert texts[".md"].rstrip().endswith(table.caption)
    assert caption_in_latex(texts[".tex"]) == table.caption


@pytest.mark.parametrize("build", [finals, times])
def test_unverified_data_is_told_in_the_caption_of_every_file(build, written):
    texts = written(build(seeds=UNVERIFIED))
    assert NOTE in texts[".md"]
    assert NOTE in caption_in_latex(texts[".tex"])


@pytest.mark.parametrize("build", [finals, times])
def test_verified_data_is_not_told(build, written):
    texts = written(build())
    assert "checksum" not in "".join(texts.values())


@pytest.mark.parametrize(("confidence", "words"), [(0.95, "95%"), (0.5, "50%")])
def test_caption_names_the_level(confidence, words):
    context = Context(labels=LABELS, targets={}, confidence=confidence, exclusive=True)
    assert f"its {words} percentile-bootstrap" in finals(context=context).caption


@pytest.mark.parametrize(("exclusive", "told"), [(True, False), (False, True)])
def test_caption_says_when_seconds_are_indicative(exclusive, told):
    context = Context(labels=LABELS, targets={}, confidence=0.9, exclusive=exclusive)
    assert ("seconds are indicative" in times(context=context).caption) == told
