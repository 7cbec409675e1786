"""Where the metrics of two executions of a run differ, and whether by more than seeds do."""

import math
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple, TypeVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

Key = TypeVar("Key")
_END = "end of training"


def first_metric_difference(original: pd.DataFrame, recomputed: pd.DataFrame) -> str | None:
    """Return seed, step and column of the first row whose bits differ, with both values; None where none do.

    Args:
        original: Rows of a metrics file.
        recomputed: Rows of another, of the same seeds.
    """
    common = min(len(original), len(recomputed))
    unlike = {name: _unlike(original[name].iloc[:common], recomputed[name].iloc[:common]) for name in original}
    rows = np.flatnonzero(np.logical_or.reduce(list(unlike.values())))
    if rows.size:
        row = int(rows[0])
        column = next(name for name in original if unlike[name][row])
        before, after = original[column].iloc[row], recomputed[column].iloc[row]
        named = f"metric {original['metric'].iloc[row]}" if column == "value" else f"column {column}"
        return f"{_moment(original, row)}, {named}: {_text(before)} became {_text(after)}"
    if len(original) != len(recomputed):
        longer, state = (original, "is missing") if len(original) > common else (recomputed, "is new")
        return f"{_moment(longer, common)}, metric {longer['metric'].iloc[common]} {state}"
    return None


def first_array_difference(
    original: Mapping[Key, NDArray[np.generic]], recomputed: Mapping[Key, NDArray[np.generic]]
) -> Key | None:
    """Return the key of the first array that is not the same bits in both, None where all are.

    Args:
        original: Arrays.
        recomputed: Others.
    """
    for key in {**original, **recomputed}:
        first, second = original.get(key), recomputed.get(key)
        if first is None or second is None or first.dtype != second.dtype or first.shape != second.shape:
            return key
        if first.tobytes() != second.tobytes():
            return key
    return None


def first_beyond_seeds(
    original: pd.DataFrame, recomputed: pd.DataFrame, finished: Collection[int], confidence: float
) -> str | None:
    """Return the first evaluation or test metric that moved further than from seed to seed, None where none did.

    A seed's value may move by the repeatability limit of the n seeds there are, t s √2: so far apart are two seeds at
    most, with the probability that t stands for. s is the standard deviation over seeds and t a quantile of Student's
    distribution with n − 1 degrees of freedom (ISO 5725-6:1994, section 4.1, with t in place of the normal quantile
    because s is estimated). For m compared values the probability is 1 − (1 − ``confidence``)/m, so that executions
    which differ no more than seeds do pass with probability ``confidence`` or more (Bonferroni). One seed has no
    spread, and seeds that agree have none: then nothing may move.

    Args:
        original: Rows of a metrics file, of all seeds.
        recomputed: Rows of another, of some of them.
        finished: The seeds that reached the end of training; others are not compared.
        confidence: See above.
    """
    known, found = _evaluated(original, finished), _evaluated(recomputed, finished)
    again = [seed for seed in finished if seed in set(recomputed["seed"])]
    compared = [(moment, seed) for moment in known for seed in again if seed in known[moment] and moment in found]
    for moment in {**known, **found}:
        of_seeds, of_seeds_again = known.get(moment, {}), found.get(moment, {})
        for seed in again:
            before, after = of_seeds.get(seed), of_seeds_again.get(seed)
            place = f"seed {seed}, {moment.when}, metric {moment.metric}"
            if before is None or after is None:
                # Steps of another length make evaluations at other times; the test images are seen once by all.
                if moment.when == _END and before is not after:
                    return f"{place} {'is new' if before is None else 'is missing'}"
                continue
            limit = _repeatability_limit(list(of_seeds.values()), 1 - (1 - confidence) / len(compared))
            if not abs(after - before) <= limit:
                moved = f"{_text(before)} became {_text(after)}, by more than {limit:.3g}"
                return f"{place}: {moved}, the limit of {len(of_seeds)} seeds"
    return None


class _Moment(NamedTuple):
    metric: str
    when: str


def _repeatability_limit(values: Sequence[float], probability: float) -> float:
    # Equal numbers have no spread, though their mean is rounded.
    if len(set(values)) < 2:
        return 0.0
    quantile = float(stats.t.ppf((1 + probability) / 2, len(values) - 1))
    return quantile * float(np.std(values, ddof=1)) * math.sqrt(2)


def _evaluated(metrics: pd.DataFrame, seeds: Collection[int]) -> dict[_Moment, dict[int, float]]:
    """Return the values of all evaluations and of the test images, by their moment and seed."""
    rows = metrics[metrics["seed"].isin(seeds) & metrics["scope"].isin(["evaluation", "final"])]
    values: dict[_Moment, dict[int, float]] = {}
    columns = (rows[name] for name in ("metric", "scope", "evaluation", "seed", "value"))
    for metric, scope, evaluation, seed, value in zip(*columns, strict=True):
        when = _END if scope == "final" else f"evaluation {evaluation}"
        values.setdefault(_Moment(metric, when), {})[int(seed)] = float(value)
    return values


def _unlike(first: pd.Series, second: pd.Series) -> NDArray[np.bool_]:
    """Return where two columns differ, in a single bit where they hold numbers."""
    before, after = first.to_numpy(), second.to_numpy()
    if before.dtype == after.dtype == np.float64:
        before, after = before.view(np.int64), after.view(np.int64)
    return np.asarray(before != after, dtype=np.bool_)


def _moment(metrics: pd.DataFrame, row: int) -> str:
    at = metrics.iloc[row]
    return f"seed {at['seed']}, {at['scope']} at step {at['step']}"


def _text(value: object) -> str:
    return repr(float(value)) if isinstance(value, float) else str(value)
