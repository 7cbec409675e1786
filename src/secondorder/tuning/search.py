"""The search of one run on one problem: ranges of settings, and the trials that a quasi-random sequence draws in them.

Machines that train without Snakemake are given the trials ready-made, so only drawing them needs SciPy.
"""

import dataclasses
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from secondorder.errors import ConfigurationError
from secondorder.training.specification import RunSpecification

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

ScaleName = Literal["log", "linear"]

_EDGE = 0.05
_DIGITS = 3


@dataclass(frozen=True)
class Range:
    """Values that are searched for one setting.

    Attributes:
        low: Smallest value.
        high: Largest value, above ``low``.
        scale: ``log`` (then ``low`` is above 0) or ``linear``.
        whole: Whether only whole numbers are values.
    """

    low: float
    high: float
    scale: ScaleName = "log"
    whole: bool = False

    def value(self, position: float) -> float | int:
        """Return the value at a position in [0, 1] between low and high, measured on the scale.

        It is rounded to three significant digits, or to a whole number, already for the trial: so what is committed is
        what was measured.
        """
        if self.scale == "log":
            exact = math.exp(math.log(self.low) + position * (math.log(self.high) - math.log(self.low)))
        else:
            exact = self.low + position * (self.high - self.low)
        if self.whole:
            return min(max(round(exact), math.ceil(self.low)), math.floor(self.high))
        return min(max(float(f"{exact:.{_DIGITS}g}"), self.low), self.high)

    def position(self, value: float) -> float:
        """Return where a value lies between low (0) and high (1), measured on the scale."""
        if self.scale == "log":
            return (math.log(value) - math.log(self.low)) / (math.log(self.high) - math.log(self.low))
        return (value - self.low) / (self.high - self.low)

    def at_edge(self, value: float) -> bool:
        """Return whether a value lies within 5 % of an end, so that a better one may lie outside."""
        return not _EDGE < self.position(value) < 1 - _EDGE


@dataclass(frozen=True)
class Search:
    """All trials of one run on one problem.

    Attributes:
        specification: The run, with the one seed of all trials and without the searched settings.
        ranges: What is searched, by setting.
        trials: The searched settings of each trial.
    """

    specification: RunSpecification
    ranges: Mapping[str, Range]
    trials: tuple[Mapping[str, float | int], ...]

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> "Search":
        """Return the search held in ``values``, as :meth:`to_mapping` wrote it.

        Raises:
            ConfigurationError: Something is missing or unknown, or there are no trials.
        """
        try:
            made = cls(
                specification=RunSpecification.from_mapping(values["specification"]),
                ranges={name: Range(**given) for name, given in values["ranges"].items()},
                trials=tuple(dict(settings) for settings in values["trials"]),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ConfigurationError(f"not a search: {error}; make one with `secondorder resolve --trials`") from None
        if not made.trials:
            raise ConfigurationError("not a search: it has no trials; give at least one")
        return made

    @classmethod
    def from_file(cls, path: Path) -> "Search":
        """Read a search from a JSON file.

        Raises:
            ConfigurationError: It cannot be read, or is none.
        """
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise ConfigurationError(f"{path}: cannot be read as a search: {error}") from None
        return cls.from_mapping(values)

    def to_mapping(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {
            "specification": self.specification.to_mapping(),
            "ranges": {name: dataclasses.asdict(searched) for name, searched in self.ranges.items()},
            "trials": [dict(settings) for settings in self.trials],
        }

    def specifications(self) -> list[RunSpecification]:
        """Return what the training of each trial is told: the run with other settings."""
        fixed = self.specification.optimizer_settings
        return [
            dataclasses.replace(self.specification, optimizer_settings={**fixed, **settings})
            for settings in self.trials
        ]


def draw_trials(ranges: Mapping[str, Range], trials: int, seed: int) -> tuple[dict[str, float | int], ...]:
    """Return the searched settings of each trial.

    Args:
        ranges: What is searched, by setting.
        trials: How many.
        seed: Seed of the sequence.
    """
    names = sorted(ranges)
    points = quasi_random_points(trials, len(names), seed).tolist()
    return tuple(
        {name: ranges[name].value(position) for name, position in zip(names, point, strict=True)} for point in points
    )


@cache
def quasi_random_points(count: int, dimensions: int, seed: int) -> "NDArray[np.float64]":
    """Return the first points of a scrambled Sobol sequence, shape (count, dimensions), in [0, 1).

    They depend on nothing but the arguments, so all runs that search equally many settings get the same points, and
    more trials begin with the same ones as fewer.

    Source: Sobol 1967, scrambled as in Owen 1998, in the form ``scipy.stats.qmc`` implements. Its balance needs a power
    of two, so the next one is drawn and the first points are taken; 2ᵏ trials use all.

    Args:
        count: Number of points, at least one.
        dimensions: Numbers in a point, at least one.
        seed: Seed of the scrambling.
    """
    # Its import takes longer than the start of a job that draws nothing.
    from scipy.stats import qmc

    drawn: NDArray[np.float64] = qmc.Sobol(dimensions, scramble=True, rng=seed).random_base2((count - 1).bit_length())
    drawn.setflags(write=False)
    return drawn[:count]
