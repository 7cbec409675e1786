"""The models of a claim: every key of ``claims/<id>.yaml``, its type and bounds."""

from typing import Annotated, Literal

from pydantic import Field

from secondorder.configuration.models import Name, Section

Value = bool | int | float | str
Identifier = Annotated[str, Field(pattern=r"^[A-Z][1-9][0-9]*$")]

INFERRED = ("superiority", "non_inferiority", "equivalence")
"""Tests that infer from a sample of seeds; the others look at every number there is."""


class Range(Section):
    """Which values of a column to take."""

    at_least: float | None = Field(None, description="Smallest value.")
    at_most: float | None = Field(None, description="Largest value.")


class Compared(Section):
    """Which rows are compared with which."""

    column: Name = Field("run", description="Column that tells them apart.")
    of: list[str] = Field(min_length=1, description="Its values in the rows that the claim is about.")
    against: list[str] = Field(min_length=1, description="Its values in the rows that they are compared with.")
    best_by: list[Name] = Field(
        [],
        description="Column by which, where several values are named on a side, the one is chosen that is smallest "
        "over the other units, so that the choice does not see what is compared; where several are equal, such as "
        "where all miss a target, by the next column of the list.",
    )


class Evidence(Section):
    """A part of a claim: numbers from a table, and the test that they have to pass."""

    name: Name = Field(description="Name of the part.")
    table: Name = Field(description="Table that it is read from.")
    where: dict[str, Value | list[Value]] = Field({}, description="Values of the rows to take, by column.")
    within: dict[str, Range] = Field({}, description="Ranges of the rows to take, by column.")
    each: list[str] = Field([], description="Columns whose values are cases that are judged apart.")
    column: str = Field(description="Column that is measured.")
    equals: Value | None = Field(None, description="Measure whether the column has this value: 1 where it has, else 0.")
    over: str | None = Field(None, description="Column that the column is divided by, row by row.")
    per: str | None = Field(None, description="Column that `exponent` is the growth with.")
    compared: Compared | None = Field(None, description="Rows that are compared; the numbers themselves when absent.")
    pair_by: list[str] = Field(
        ["seed"],
        min_length=1,
        description="Columns that name a unit: what is compared is paired by them, and rows of one unit are averaged.",
    )
    effect: Literal["value", "difference", "ratio", "rank_change"] = Field(
        "value",
        description="What is judged of a unit: the number, the difference of the two that are compared, their ratio "
        "(by its logarithm), or by how much a condition changes the ranking of the runs, as Kendall's τ_b of rankings "
        "less what seeds alone leave of it.",
    )
    statistic: Literal["mean", "median", "largest", "smallest", "share", "exponent"] = Field(
        description="What is taken over units; `share` is a mean of 0 and 1, `exponent` the slope in logarithms."
    )
    test: Literal["superiority", "non_inferiority", "equivalence", "at_most", "at_least"] = Field(
        description="`superiority`: better by more than the margin; `non_inferiority`: not worse by more; "
        "`equivalence`: neither, by two one-sided tests; `at_most` and `at_least`: every number there is, no inference."
    )
    margin: float = Field(description="The margin or bound; of a ratio a factor.")
    better: Literal["lower", "higher"] = Field("lower", description="The claimed direction of the effect.")
    of_cases: float = Field(1.0, gt=0, le=1, description="Share of the cases in which it has to hold.")
    control: bool = Field(
        False, description="Whether it tests the evidence and not the claim: where it fails, nothing can be concluded."
    )
    why: str = Field(min_length=10, description="Why this margin.")


class Source(Section):
    """Where a claim comes from."""

    paper: str = Field(min_length=1, description="Authors, title and date.")
    arxiv: str | None = Field(None, description="Its number in arXiv.")
    text: str = Field(min_length=1, description="What is known of the source's text.")


class Claim(Section):
    """A claim, how it is read and what it is judged by."""

    id: Identifier = Field(description="The claim's name, that of its file.")
    family: Name = Field(description="Claims whose p values are corrected together (Holm).")
    source: Source = Field(description="Where it comes from.")
    sentence: str = Field(min_length=10, description="The claim in one sentence.")
    reading: str = Field(min_length=10, description="How it was made testable, in one or two sentences.")
    evidence: list[Evidence] = Field(min_length=1, description="Its parts; all of them have to hold.")
    figures: list[Name] = Field([], description="Figures that show the evidence.")
    tables: list[Name] = Field([], description="Tables that show the evidence.")
