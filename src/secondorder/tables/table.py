"""A table and its three files."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from secondorder.files import write_text


@dataclass(frozen=True)
class Table:
    """A table with what its readers have to know.

    Attributes:
        rows: The numbers, in full precision; written so to CSV.
        caption: What they are, in sentences.
        decimals: Digits after the point in Markdown and LaTeX, by column; other columns are shown as they are.
        labels: Names to show of the runs in the column ``optimizer``.
        ranges: Columns x that are shown as "x (x_min–x_max)", the three columns in one.
        significant: Significant digits in Markdown and LaTeX, by column, of numbers that span many magnitudes.
        unshown: Columns of the CSV alone, where all of them were too many to read.
        sentences: Columns that LaTeX breaks into lines, which share the width of the page.
    """

    rows: pd.DataFrame
    caption: str
    decimals: Mapping[str, int] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    ranges: Sequence[str] = ()
    significant: Mapping[str, int] = field(default_factory=dict)
    unshown: Sequence[str] = ()
    sentences: Sequence[str] = ()

    def shown(self) -> pd.DataFrame:
        """Return the rows as text for readers: rounded, ∞ for infinite, a dash for what does not exist."""
        shown = self.rows.drop(columns=list(self.unshown))
        for column in shown:
            name = str(column).removesuffix("_min").removesuffix("_max")
            digits, significant = self.decimals.get(name), self.significant.get(name)
            shown[column] = [_text(value, digits, significant) for value in self.rows[column]]
        for column in self.ranges:
            low, high = shown.pop(f"{column}_min"), shown.pop(f"{column}_max")
            shown[column] = [
                value if first == last else f"{value} ({first}–{last})"
                for value, first, last in zip(shown[column], low, high, strict=True)
            ]
        if "optimizer" in shown:
            shown["optimizer"] = [self.labels.get(run, run) for run in self.rows["optimizer"]]
        return shown

    def markdown(self) -> str:
        """Return the table as Markdown, the caption below."""
        shown = self.shown().map(_markdown_text)
        table = shown.to_markdown(index=False, disable_numparse=True, colalign=[_ALIGNMENT[is_name(c)] for c in shown])
        return f"{table}\n\n{self.caption}\n"

    def latex(self) -> str:
        """Return the table as a LaTeX ``table`` with booktabs rules."""
        shown = self.shown()
        width = f"p{{{0.7 / max(1, len(self.sentences)):.2f}\\textwidth}}"
        alignments = [width if column in self.sentences else _ALIGNMENT[is_name(column)][0] for column in shown]
        shown = shown.rename(columns=lambda name: str(name).replace("_", " "))
        shown = shown.map(_latex_text)
        return str(
            shown.to_latex(
                index=False,
                escape=False,
                caption=_latex_text(self.caption),
                column_format="".join(alignments),
                position="t",
            )
        )


def with_note(table: Table, note: str) -> Table:
    """Return a table with a sentence after its caption; as it is where the sentence is empty."""
    return replace(table, caption=f"{table.caption} {note}".strip())


def write_table(table: Table, csv: Path, markdown: Path, latex: Path) -> None:
    """Write the three files of a table."""
    write_text(csv, table.rows.to_csv(index=False, lineterminator="\n"))
    write_text(markdown, table.markdown())
    write_text(latex, table.latex())


_ALIGNMENT = {True: "left", False: "right"}


def is_name(column: object) -> bool:
    """Return whether a column holds names, which readers see on the left of it, and not numbers."""
    return column in {
        "problem",
        "study",
        "condition",
        "optimizer",
        "metric",
        "better",
        "network",
        "loss",
        "hessian",
        "dtype",
        "product",
        "method",
        "control",
        "check",
        "claim",
        "verdict",
        "sentence",
        "why",
    }


def _text(value: Any, digits: int | None, significant: int | None) -> str:
    if isinstance(value, float):
        if math.isnan(value):
            return "–"
        if value == float("inf"):
            return "∞"
        if digits is not None:
            return f"{value:.{digits}f}"
        if significant is not None:
            return _with_digits(value, significant)
    return str(value)


def _with_digits(value: float, significant: int) -> str:
    if value and not _PLAIN[0] <= abs(value) < _PLAIN[1]:
        return f"{value:.{significant - 1}e}"
    return np.format_float_positional(value, significant, fractional=False, min_digits=significant, trim="k").rstrip(
        "."
    )


_PLAIN = (1e-4, 1e6)
"""Numbers outside are written with an exponent."""


def _markdown_text(text: str) -> str:
    return " ".join(text.replace("|", r"\|").splitlines())


def _latex_text(text: str) -> str:
    return " ".join(text.translate(_LATEX).splitlines())


_LATEX = str.maketrans(
    {
        **{character: f"\\{character}" for character in "%_&#${}"},
        "\\": r"\textbackslash{}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "∞": r"$\infty$",
        "–": "--",
    }
)
