"""A table and its three files."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

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
    """

    rows: pd.DataFrame
    caption: str
    decimals: Mapping[str, int] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)

    def shown(self) -> pd.DataFrame:
        """Return the rows as text for readers: rounded, ∞ for infinite, a dash for what does not exist."""
        shown = self.rows.copy()
        if "optimizer" in shown:
            shown["optimizer"] = shown["optimizer"].map(lambda run: self.labels.get(run, run))
        for column in shown:
            digits = self.decimals.get(str(column))
            shown[column] = [_text(value, digits) for value in shown[column]]
        return shown

    def markdown(self) -> str:
        """Return the table as Markdown, the caption below."""
        return f"{self.shown().to_markdown(index=False, disable_numparse=True)}\n\n{self.caption}\n"

    def latex(self) -> str:
        """Return the table as a LaTeX ``table`` with booktabs rules."""
        shown = self.shown().rename(columns=lambda name: str(name).replace("_", " "))
        shown = shown.map(_latex_text)
        return str(
            shown.to_latex(
                index=False,
                escape=False,
                caption=_latex_text(self.caption),
                column_format="".join("l" if column in {"problem", "optimizer"} else "r" for column in shown),
                position="t",
            )
        )


def write_table(table: Table, csv: Path, markdown: Path, latex: Path) -> None:
    """Write the three files of a table."""
    write_text(csv, table.rows.to_csv(index=False, lineterminator="\n"))
    write_text(markdown, table.markdown())
    write_text(latex, table.latex())


def _text(value: object, digits: int | None) -> str:
    if isinstance(value, float):
        if pd.isna(value):
            return "–"
        if value == float("inf"):
            return "∞"
        if digits is not None:
            return f"{value:.{digits}f}"
    return str(value)


def _latex_text(text: str) -> str:
    escaped = text.replace("%", r"\%").replace("_", r"\_").replace("&", r"\&").replace("#", r"\#")
    return escaped.replace("∞", r"$\infty$").replace("–", "--")
