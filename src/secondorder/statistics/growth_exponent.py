"""With which power a measured quantity grows, and how well a few measurements know it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from secondorder.statistics.tests_of_effects import Interval


@dataclass(frozen=True)
class GrowthExponent:
    """b of the least-squares fit log y = a + b log x.

    Attributes:
        value: b.
        error: Its standard error.
        freedom: Degrees of freedom, two less than there are measurements.
    """

    value: float
    error: float
    freedom: int

    @classmethod
    def of(cls, sizes: NDArray[np.float64], values: NDArray[np.float64]) -> "GrowthExponent | None":
        """Return the exponent with which values grow with sizes; None of fewer than three sizes, which leave no error.

        Args:
            sizes: x, shape [n], above 0.
            values: y, shape [n], above 0.
        """
        if len(np.unique(sizes)) < 3:
            return None
        fit = stats.linregress(np.log(sizes), np.log(values))
        return cls(float(fit.slope), float(fit.stderr), len(sizes) - 2)

    def above(self, bound: float) -> float:
        """Return the p value of "the exponent is above the bound": Student's one-sided t test."""
        if not self.error:
            return float(self.value <= bound)
        return float(stats.t.sf((self.value - bound) / self.error, self.freedom))

    def interval(self, confidence: float) -> Interval:
        """Return Student's confidence interval, two-sided, at a level."""
        half = float(stats.t.ppf((1 + confidence) / 2, self.freedom)) * self.error
        return Interval(self.value - half, self.value + half)
