"""The trace of a matrix, estimated from products with random vectors."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch

from secondorder.errors import InputError


@dataclass(frozen=True)
class TraceEstimate:
    """A mean over probes.

    Attributes:
        trace: The mean of zᵀ H z.
        standard_error: Of that mean: the sample standard deviation over the root of the number of probes.
    """

    trace: float
    standard_error: float


def hutchinson_trace(product: Callable[[torch.Tensor], torch.Tensor], probes: Iterable[torch.Tensor]) -> TraceEstimate:
    """Return the mean of zᵀ H z over random vectors z, whose expectation is tr H.

    E[zᵀ H z] = tr(H E[z zᵀ]) = tr H where the entries of z are independent, with mean 0 and variance 1. Random signs
    have the smallest variance, 2 Σ_{i≠j} H_ij², which is 0 for a diagonal H.

    Source: Hutchinson 1990.

    Args:
        product: v ↦ H v for a symmetric H.
        probes: At least two vectors z, each of shape [P]; they are taken one by one.

    Raises:
        InputError: There are fewer than two probes, of which there is no standard error.
    """
    values = torch.tensor([float(probe @ product(probe)) for probe in probes], dtype=torch.float64)
    if len(values) < 2:
        raise InputError(f"a trace is estimated from {len(values)} probes; a standard error needs at least 2")
    return TraceEstimate(float(values.mean()), float(values.std()) / math.sqrt(len(values)))
