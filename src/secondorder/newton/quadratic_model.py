"""The quadratic model of a function along a direction, and how far it is from what is measured.

q(α) = α gᵀd + α²/2 dᵀHd, the Taylor expansion of f(θ + α d) − f(θ) up to second order. Derived in docs/methods.md.
"""

import math
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class QuadraticModel:
    """The model along one direction.

    Attributes:
        slope: gᵀd.
        curvature: dᵀHd.
    """

    slope: float
    curvature: float

    def change(self, length: float) -> float:
        """Return q(α) for the step length α."""
        return length * self.slope + length**2 / 2 * self.curvature


def rounding_of(value: float, dtype: torch.dtype) -> float:
    """Return the change of a function that its own last digits cannot tell from none: 10 eps |f|."""
    return 10 * torch.finfo(dtype).eps * abs(value)


def taylor_error(predicted: float, actual: float, rounding: float) -> float:
    """Return E = |actual − predicted| / |predicted|, without what rounding alone explains.

    Args:
        predicted: The change that the model predicts.
        actual: The change that is measured.
        rounding: The change that counts as none; see :func:`rounding_of`.

    Returns:
        E; 0 where the two differ by rounding, infinity where a change is measured and none is predicted, NaN where one
        of them is not a number.
    """
    difference = abs(actual - predicted)
    if difference <= rounding:
        return 0.0
    if predicted == 0:
        return math.inf
    return difference / abs(predicted)
