"""What approximations of a Hessian keep and lose, judged against its exact spectrum.

The truth is the exact Hessian H of the mean loss of a batch, with all of its eigenvalues and eigenvectors. An
approximation M is compared with it by what it is used for: its extreme eigenvalues, its leading eigenspace, its
spectral density, its trace, its entries, and its damped Newton direction. Each has a cost.
"""

import math
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import pandas as pd
import torch

from secondorder.curvature.eigenpair_certificate import certify
from secondorder.curvature.forms.symmetric_form import Spectrum
from secondorder.curvature.spectral_density import SpectralDensity
from secondorder.validation.approximation_methods import Batch, Estimate, Method
from secondorder.validation.spectral_controls import measure_spectral_controls
from secondorder.validation.spectral_measures import extreme_values
from secondorder.validation.trained import Probe, TrainedNetwork
from secondorder.validation.truth import Judgement, Truth
from secondorder.validation.work_measuring import multiplications_of

CERTIFIED = 1e-12
"""Largest residual, relative to the largest |eigenvalue|, of an eigenpair that counts as exact."""

_EDGES = 10.0 ** torch.arange(-12, 6.01, 0.25, dtype=torch.float64)


@dataclass(frozen=True)
class Comparison:
    """The tables of one comparison, each with the names of network and batch in front.

    Attributes:
        measures: One row per method: errors, certificates and costs that repeat bit for bit.
        timing: The seconds of the same rows.
        eigenvalues: One row per method and eigenvalue at an end of the spectrum.
        densities: One row per method and bin of eigenvalues, with their share of all.
    """

    measures: pd.DataFrame
    timing: pd.DataFrame
    eigenvalues: pd.DataFrame
    densities: pd.DataFrame


def compare_approximations(
    networks: Iterable[TrainedNetwork], probes: Sequence[Probe], methods: Sequence[Method], judgement: Judgement
) -> Comparison:
    """Return what every method finds of every network's Hessian on every batch, in float64.

    Args:
        networks: The networks at each moment of their trainings.
        probes: The batches that the Hessians are of.
        methods: What is judged.
        judgement: What it is judged by.

    Returns:
        Measures have problem, run, seed, share, spent, sample (number of the batch), samples, parameters, rank (of H;
        NaN where its extreme pairs alone are known), method, kind, effort, unit, those of ``MEASURES``, converged,
        residual (largest ‖Hv − λv‖ of claimed eigenpairs over the largest |λ|, by double backward), orthogonality
        (largest entry of VᵀV − I), certified (both at most 1e-12), refusal (why a method cannot treat the network;
        empty where it can), numbers (that the matrix is kept as) and gradient_equivalents (multiplications over those
        of the batch's gradient, counted on the first network). What a method does not give is NaN. Eigenvalues have
        end, index (from that end), exact, approximate; densities the share (weight) of the eigenvalues between low and
        high.

    Raises:
        CapabilityError: Of a Hessian neither the closed form nor its extreme pairs can be had.
        InputError: More pairs are compared than a network has parameters.
    """
    tables: dict[str, list[dict[str, Any]]] = {name: [] for name in Comparison.__dataclass_fields__}
    work: list[float] = []
    for network in networks:
        model = network.model.double()
        for probe in probes:
            batch = Batch(model, network.loss, probe.inputs, probe.targets)
            about = {**network.names, "sample": probe.index, "samples": len(probe.inputs)}
            # What is multiplied depends on shapes alone, but for iterations that end by themselves.
            work = work or _work_of(methods, batch)
            for name, rows in _compared(batch, methods, work, judgement).items():
                tables[name].extend({**about, **row} for row in rows)
    return Comparison(**{name: pd.DataFrame(rows) for name, rows in tables.items()})


def control_spectra(network: TrainedNetwork, probe: Probe) -> pd.DataFrame:
    """Return what the checks of spectra say of faults, and of their sound counterparts, on one network.

    Args:
        network: The network.
        probe: The batch that its Hessian is of.

    Returns:
        Columns problem, run, seed, share, spent, samples and those of
        :func:`~secondorder.validation.spectral_controls.measure_spectral_controls`.

    Raises:
        ResultError: A fault was not caught.
    """
    found = measure_spectral_controls(network.model.double(), network.loss, probe.inputs, probe.targets)
    about = {**network.names, "samples": len(probe.inputs)}
    return found.assign(**about)[[*about, *found]]


def _work_of(methods: Sequence[Method], batch: Batch) -> list[float]:
    """Return the multiplications of each method over those of the batch's gradient."""
    _, of_gradient = multiplications_of(batch.gradient)
    return [multiplications_of(partial(method.estimate, batch))[1] / of_gradient for method in methods]


def _compared(
    batch: Batch, methods: Sequence[Method], work: Sequence[float], judgement: Judgement
) -> dict[str, list[dict[str, Any]]]:
    truth = Truth.of(batch, judgement)
    tables: dict[str, list[dict[str, Any]]] = {name: [] for name in Comparison.__dataclass_fields__}
    for method, equivalents in zip(methods, work, strict=True):
        started = time.perf_counter()
        found = method.estimate(batch)
        seconds = time.perf_counter() - started
        key = {"method": method.name, "kind": method.kind, "effort": method.effort, "unit": method.unit}
        tables["measures"].append(
            {
                "parameters": truth.form.size,
                "rank": len(truth.form.values) if truth.complete else math.nan,
                **key,
                **truth.measures(found),
                "converged": found.converged,
                **_certified(found, batch),
                "refusal": found.refusal,
                "numbers": math.nan if found.form is None else found.form.numbers,
                "gradient_equivalents": equivalents,
            }
        )
        tables["timing"].append({**key, "seconds": seconds})
        if found.form is not None:
            pairs = _ends(found.form.spectrum(), truth.spectrum, judgement.pairs)
            tables["eigenvalues"].extend({**key, **pair} for pair in pairs)
        if found.density is not None:
            tables["densities"].extend({**key, **share} for share in _binned(found.density))
    return tables


def _ends(found: Spectrum, exact: Spectrum, pairs: int) -> list[dict[str, Any]]:
    rows = []
    for end in ("largest", "most negative"):
        largest = end == "largest"
        wanted, given = (extreme_values(each, pairs, largest=largest) for each in (exact, found))
        for index, (value, approximate) in enumerate(zip(wanted.tolist(), given.tolist(), strict=True)):
            rows.append({"end": end, "index": index, "exact": value, "approximate": approximate})
    return rows


def _binned(density: SpectralDensity) -> list[dict[str, float]]:
    """Return the share of eigenvalues in each quarter of a decade of |λ|, by sign; 0 has the bin around it."""
    edges = torch.cat([-_EDGES.flip(0), _EDGES])
    bins = torch.bucketize(density.nodes, edges)
    weights = torch.zeros(len(edges) + 1, dtype=density.weights.dtype).index_add_(0, bins, density.weights)
    ends = [-math.inf, *edges.tolist(), math.inf]
    return [
        {"low": low, "high": high, "weight": weight}
        for low, high, weight in zip(ends[:-1], ends[1:], weights.tolist(), strict=True)
        if weight
    ]


def _certified(found: Estimate, batch: Batch) -> dict[str, Any]:
    if found.claimed is None:
        return {"residual": math.nan, "orthogonality": math.nan, "certified": False}
    certificate = certify(found.claimed.values, found.claimed.vectors, batch.independent_product, CERTIFIED)
    return {
        "residual": certificate.relative,
        "orthogonality": certificate.orthogonality,
        "certified": certificate.passed,
    }
