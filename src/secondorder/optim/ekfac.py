"""EKFAC: gradients divided by their own second moments, in the eigenbasis of K-FAC.

Source: George et al. 2018 (eigenbasis of K-FAC's factors, moving average of the second moments in it, from batches
between two eigenbases), with the moving averages, momentum and bound of K-FAC. Damping is exact: γ is added to each
second moment. Learning rate, damping and bound are this project's own start for tuning. What happens to parameters
without factors is in :mod:`secondorder.optim.kronecker`.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import torch

from secondorder.curvature.kronecker_inverses import KroneckerEigenbasis
from secondorder.optim.kronecker import Kronecker, KroneckerSettings


@dataclass(frozen=True)
class Settings(KroneckerSettings):
    """Settings of EKFAC."""


def build(parameters: Iterable[torch.nn.Parameter], settings: Settings) -> Kronecker:
    """Return EKFAC over ``parameters``, of which those that require no gradient are left alone."""
    return Kronecker(parameters, settings, KroneckerEigenbasis)
