"""How often the Newton direction of each spectral adjustment goes up instead of down, along training."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import product
from typing import Any

import pandas as pd

from secondorder.curvature.adjustments import ADJUSTMENTS
from secondorder.curvature.exact_hessian import ExactHessian
from secondorder.validation.trained import Probe, TrainedNetwork

NOISE = 1e-12
"""Eigenvalues of at most this share of the largest count as zero."""


def compare_directions(
    networks: Iterable[TrainedNetwork], probes: Sequence[Probe], dampings: Sequence[float]
) -> pd.DataFrame:
    """Return the slope of the loss along each direction d = −Q φ(Λ)⁻¹ Qᵀ g, in float64.

    Args:
        networks: The networks at each moment of their trainings.
        probes: What loss, gradient g and Hessian QΛQᵀ are of.
        dampings: Values of μ, which φ adds to the adjusted eigenvalues.

    Returns:
        Columns problem, run, seed, share, spent, kind, sample, samples, rank, negative (eigenvalues below
        −1e-12 max |λ|), smallest, largest (eigenvalue), uphill (from :func:`uphill_share`), adjustment, damping, slope
        (gᵀd, loss per unit step; positive is up), cosine (of the angle between g and d; NaN where either is 0) and
        ascends.
    """
    rows: list[dict[str, Any]] = []
    for network in networks:
        model = network.model.double()
        for probe in probes:
            exact = ExactHessian(model, network.loss, probe.inputs, probe.targets)
            rows.extend({**network.names, **row} for row in _rows_of(exact, probe, dampings))
    return pd.DataFrame(rows)


def uphill_share(exact: ExactHessian) -> float:
    """Return Σ_{λ<0} c²/|λ| / Σ c²/|λ|, c = qᵀg: how much of the undamped Newton step's work is against it.

    Every eigendirection of negative curvature contributes an ascent of c²/|λ| to the slope of the plain Newton step,
    and a descent as steep to that of the absolute one. The step goes up as a whole where the share is above 1/2. NaN
    where the gradient is 0.
    """
    gradient = exact.gradient
    plain = float(gradient @ exact.newton_direction(0.0, adjustment="newton"))
    absolute = float(gradient @ exact.newton_direction(0.0, adjustment="absolute"))
    return (absolute - plain) / (2 * absolute) if absolute else float("nan")


def _rows_of(exact: ExactHessian, probe: Probe, dampings: Sequence[float]) -> Iterator[dict[str, Any]]:
    uphill = uphill_share(exact)
    eigenvalues = exact.eigenvalues()
    about = {
        "kind": probe.kind,
        "sample": probe.index,
        "samples": len(probe.inputs),
        "rank": exact.rank,
        "negative": int((eigenvalues < -NOISE * eigenvalues.abs().max()).sum()),
        "smallest": float(eigenvalues.min()),
        "largest": float(eigenvalues.max()),
        "uphill": uphill,
    }
    gradient = exact.gradient
    for adjustment, damping in product(ADJUSTMENTS, dampings):
        direction = exact.newton_direction(damping, adjustment=adjustment)
        slope = float(gradient @ direction)
        lengths = float(gradient.norm() * direction.norm())
        yield {
            **about,
            "adjustment": adjustment,
            "damping": damping,
            "slope": slope,
            "cosine": slope / lengths if lengths else float("nan"),
            "ascends": slope > 0,
        }
