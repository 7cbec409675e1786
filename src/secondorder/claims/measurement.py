"""From tidy tables to the numbers that a part of a claim is judged by, case by case."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from secondorder.claims.models import INFERRED, Compared, Evidence
from secondorder.statistics.rankings import ranking_changes
from secondorder.statistics.tests_of_effects import Effects

DIVERGED = "diverged"


@dataclass(frozen=True)
class Case:
    """What was measured of a part of a claim in one case, such as a problem.

    Attributes:
        name: The case; empty where a part has only one.
        effects: A number per unit, shape [units]; of a ratio its logarithm.
        growth: What an exponent is the growth with, shape [units]; empty for other statistics.
        subject: What the claim is about, as far as it was chosen or named.
        reference: What it is compared with.
        failure: Why the claim fails here whatever the numbers are, such as a diverged seed; empty where it does not.
        obstacle: Why nothing can be said here; empty where something can.
        missing: Whether this is because nothing was measured.
    """

    name: str
    effects: Effects = field(default_factory=lambda: np.empty(0))
    growth: Effects = field(default_factory=lambda: np.empty(0))
    subject: str = ""
    reference: str = ""
    failure: str = ""
    obstacle: str = ""
    missing: bool = False


def measure(part: Evidence, table: pd.DataFrame, conditions: Mapping[str, Mapping[str, str]]) -> list[Case]:
    """Return what a table says of a part of a claim.

    Of the rows that the part names none is dropped. What was spent on a target that was missed is infinite, for a
    diverged seed too. Where a diverged seed has no number, the claim fails if the seed is of what it is about, and
    nothing can be said if the seed is of what that is compared with.

    Args:
        part: The part.
        table: Its table, of all problems and conditions.
        conditions: By problem that has conditions, the problems of the conditions with the one that each is compared
            with. Only the effect ``rank_change`` looks at conditions.
    """
    if missing := [name for name in _columns(part) if name not in table]:
        return [Case("", obstacle=f"{part.table} has no column {missing[0]}", missing=True)]
    if part.effect == "rank_change":
        cases = [
            _rank_change(part, table, problem, reference)
            for compared in conditions.values()
            for problem, reference in compared.items()
        ]
        return cases or [Case("", obstacle="no problem has conditions", missing=True)]
    made = {name for compared in conditions.values() for pair in compared.items() for name in pair} - set(conditions)
    rows = table[~table["problem"].isin(made)] if "problem" in table else table
    rows = rows[_selected(rows, part.where)]
    for column, limits in part.within.items():
        low, high = limits.at_least, limits.at_most
        rows = rows[rows[column].between(-np.inf if low is None else low, np.inf if high is None else high)]
    rows = rows.assign(measured=_measured(part, rows))
    if not part.each:
        return [_case(part, "", rows)]
    if part.compared:
        # Where there is nothing to compare with, the comparison is not made and is no case.
        of_reference = rows[rows[part.compared.column].isin(part.compared.against)]
        rows = rows.merge(of_reference[part.each].drop_duplicates(), on=part.each)
    cases = [_case(part, _name(key), group) for key, group in rows.groupby(part.each, sort=False, dropna=False)]
    return cases or [Case("", obstacle=f"{part.table} has no such rows", missing=True)]


def _columns(part: Evidence) -> Iterable[str]:
    """Return the columns that a part reads."""
    yield from (part.column, *part.where, *part.within, *part.each)
    yield from filter(None, (part.over, part.per))
    if part.compared:
        yield from (part.compared.column, *part.compared.best_by)
    if part.compared or part.test in INFERRED:
        yield from part.pair_by


def _selected(rows: pd.DataFrame, wanted: Mapping[str, object]) -> "pd.Series[bool]":
    selected = pd.Series(True, index=rows.index)
    for column, given in wanted.items():
        selected &= rows[column].isin(given if isinstance(given, list) else [given])
    return selected


def _measured(part: Evidence, rows: pd.DataFrame) -> pd.Series:
    """Return the number of each row."""
    if part.equals is not None:
        return (rows[part.column] == part.equals).astype(float)
    values = rows[part.column].astype(float)
    return values / rows[part.over].astype(float) if part.over else values


def _name(key: object) -> str:
    parts = key if isinstance(key, tuple) else (key,)
    known = (each for each in parts if not (isinstance(each, float) and np.isnan(each)))
    return ", ".join(f"{each:g}" if isinstance(each, float) else str(each) for each in known)


def _case(part: Evidence, name: str, rows: pd.DataFrame) -> Case:
    if part.compared:
        return _compared(part, part.compared, name, rows)
    if rows.empty or rows["measured"].isna().all():
        return Case(name, obstacle=f"{part.table} has no such numbers", missing=True)
    if failure := _diverged(rows):
        return Case(name, failure=failure)
    if unknown := int(rows["measured"].isna().sum()):
        return Case(name, obstacle=f"{unknown} of {len(rows)} numbers of {part.table} do not exist")
    if part.test in INFERRED:
        return Case(name, rows.groupby(part.pair_by)["measured"].mean().to_numpy(np.float64))
    growth = rows[part.per].to_numpy(np.float64) if part.per else np.empty(0)
    return Case(name, rows["measured"].to_numpy(np.float64), growth)


def _diverged(rows: pd.DataFrame) -> str:
    """Return which rows are of diverged seeds and have no number, for people; nothing where there are none."""
    if not {"status", "run", "seed"} <= set(rows):
        return ""
    lost = rows[(rows["status"] == DIVERGED) & rows["measured"].isna()]
    if lost.empty:
        return ""
    texts = [f"{run} diverged on seed {seed}" for run, seed in zip(lost["run"], lost["seed"], strict=True)]
    return "; ".join(dict.fromkeys(texts))


def _compared(part: Evidence, compared: Compared, name: str, rows: pd.DataFrame) -> Case:
    sides = [
        _chosen(rows[rows[compared.column].isin(listed)], part, compared, listed)
        for listed in (compared.of, compared.against)
    ]
    subject, reference = (", ".join(dict.fromkeys(side[compared.column].astype(str))) for side in sides)
    nothing = Case(name, subject=subject, reference=reference)
    for side, listed in zip(sides, (compared.of, compared.against), strict=True):
        if side.empty or side["measured"].isna().all():
            return replace(nothing, obstacle=f"{part.table} has no such numbers of {', '.join(listed)}", missing=True)
    if failure := _diverged(sides[0]):
        return replace(nothing, failure=failure)
    if obstacle := _diverged(sides[1]):
        return replace(nothing, obstacle=obstacle)
    own, other = (side.groupby(part.pair_by)["measured"].mean() for side in sides)
    if set(own.index) != set(other.index):
        return replace(nothing, obstacle=f"the two are not measured at the same {', '.join(part.pair_by)}")
    if any(side["measured"].isna().any() for side in sides):
        return replace(nothing, obstacle=f"some of these numbers of {part.table} do not exist")
    return replace(nothing, effects=_effects(part, own.to_numpy(np.float64), other[own.index].to_numpy(np.float64)))


def _effects(part: Evidence, own: Effects, other: Effects) -> Effects:
    """Return the effect of each unit; of two misses it is no number, being infinity less infinity."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.log(own) - np.log(other) if part.effect == "ratio" else own - other


def _chosen(rows: pd.DataFrame, part: Evidence, compared: Compared, listed: Sequence[str]) -> pd.DataFrame:
    """Return the rows of one side: of several candidates each unit takes the one that is best over the other units.

    So no unit's own noise chooses for it, and the best of many looks no better than it is. The first of the list is
    taken where several are equal in all that they are chosen by, and where there is no other unit to choose by.
    """
    if not compared.best_by or rows.empty:
        return rows
    centre = "median" if part.statistic == "median" else "mean"
    # What is not known, of a diverged seed, is worst.
    known = rows.assign(**{name: rows[name].astype(float).fillna(np.inf) for name in compared.best_by})
    by_unit = known.groupby([*part.pair_by, compared.column])[compared.best_by].mean()
    units = by_unit.reset_index(compared.column).index
    candidates = by_unit.index.get_level_values(compared.column)
    place = {name: position for position, name in enumerate(listed)}
    best = {}
    for unit in (distinct := units.unique()):
        others = units != unit if len(distinct) > 1 else np.full(len(units), True)
        centres = by_unit[others].groupby(candidates[others]).agg(centre).sort_index(key=lambda names: names.map(place))
        best[unit] = centres.sort_values(compared.best_by, kind="stable").index[0]
    chosen: pd.Series[str] = pd.Series([best[unit] for unit in rows.set_index(part.pair_by).index], rows.index)
    return rows[rows[compared.column] == chosen]


def _rank_change(part: Evidence, table: pd.DataFrame, problem: str, reference: str) -> Case:
    """Return by how much less the ranking under a condition agrees with that of the reference than seeds alone do."""
    rows = table[_selected(table, part.where)]
    changed, plain = (
        rows[rows["problem"] == each].pivot_table(index="seed", columns="run", values=part.column, dropna=False)
        for each in (problem, reference)
    )
    shared = [run for run in changed.columns if run in plain.columns]
    if len(shared) < 2:
        return Case(problem, obstacle=f"fewer than two runs are trained on {problem} and {reference}", missing=True)
    if len(changed) < 2 or list(changed.index) != list(plain.index):
        return Case(problem, obstacle=f"{problem} and {reference} do not have the same two or more seeds")
    effects = ranking_changes(changed[shared], plain[shared])
    return Case(problem, effects, subject=problem, reference=reference)
