"""K-FAC: gradients divided by a Kronecker product of two second moments per layer.

Source: Martens & Grosse 2015 (factors, moving averages of 0.95, factored damping with π, inverses every 20 steps),
Grosse & Martens 2016 (convolutions), Eschenhagen et al. 2023 (shared weights), Ba, Grosse & Martens 2017 (bounded
steps). Learning rate, damping and bound are this project's own start for tuning. What happens to parameters without
factors is in :mod:`secondorder.optim.kronecker`.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import torch

from secondorder.curvature.kronecker_inverses import KroneckerInverse
from secondorder.optim.kronecker import Kronecker, KroneckerSettings


@dataclass(frozen=True)
class Settings(KroneckerSettings):
    """Settings of K-FAC."""


def build(parameters: Iterable[torch.nn.Parameter], settings: Settings) -> Kronecker:
    """Return K-FAC over ``parameters``, of which those that require no gradient are left alone."""
    return Kronecker(parameters, settings, KroneckerInverse)
