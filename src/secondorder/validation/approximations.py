"""What approximations of a Hessian keep and lose, judged against its exact spectrum.

The truth is the exact Hessian H of the mean loss of a batch, with all of its eigenvalues and eigenvectors. An
approximation M is compared with it by what it is used for: its extreme eigenvalues, its leading eigenspace, its
spectral density, its trace, its entries, and its damped Newton direction. Each has a cost.
"""

import json
import math
import time
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import Any

import pandas as pd
import torch

from secondorder.curvature.eigenbasis import Eigenbasis
from secondorder.curvature.eigenpair_certificate import PairCertificate
from secondorder.curvature.spectral_density import SpectralDensity
from secondorder.validation.approximation_methods import CERTIFIED, Batch, Estimate, Method, ends
from secondorder.validation.measuring import peak_memory_of
from secondorder.validation.spectral_measures import extreme_values
from secondorder.validation.trained import Probe, TrainedNetwork, first_network
from secondorder.validation.truth import ENDS, End, Judgement, Truth, claimed_positions, found_values
from secondorder.validation.work_measuring import multiplications_of

_EDGES = 10.0 ** torch.arange(-12, 6.01, 0.25, dtype=torch.float64)


@dataclass(frozen=True)
class Comparison:
    """The tables of one comparison, each with the names of network and batch in front.

    Attributes:
        measures: One row per method: errors, certificates and costs that repeat bit for bit.
        timing: Seconds and memory of the same rows.
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
        Measures have problem, run, seed, share, spent, sample (number of the batch), samples, parameters, damping (μ),
        rank (of H; NaN where its extreme pairs alone are known), truth_residual (of H's own extreme pairs), truth_error
        (of a product by all of its pairs), method, kind, effort, unit, those of ``MEASURES``, products (with H that an
        estimate took; NaN where they are not what its work grows with), converged, residual (largest ‖Hv − λv‖ of
        claimed eigenpairs over the largest |λ|), orthogonality (largest entry of |VᵀV − I|), dtype (of the pairs),
        certified (both at most 1e-12), refusal (why a method cannot treat the network; empty where it can), numbers
        (that the matrix is kept as) and gradient_equivalents (multiplications over those of the batch's gradient,
        counted at a method's first Hessian: they depend on shapes and on the products alone). All residuals are by
        double backward. What a method does not give is NaN. Timing has seconds and memory_bytes (by which the process
        grew), each measured once. Eigenvalues have end, index (from that end), exact with exact_residual, approximate
        (NaN for one that is not found), claimed (whether it is one that is claimed to be of H), residual, dtype,
        products, converged and certified; densities the share (weight) of the eigenvalues between low and high.

    Raises:
        CapabilityError: Of a Hessian neither the closed form nor its extreme pairs can be had.
        InputError: More pairs are compared than a network has parameters.
        ResultError: There is no network; an exact Hessian is not right.
    """
    tables: dict[str, list[dict[str, Any]]] = {name: [] for name in Comparison.__dataclass_fields__}
    prices: dict[int, float] = {}
    networks = iter(networks)
    for network in chain([first_network(networks)], networks):
        model = network.model.double()
        for probe in probes:
            about = {**network.names, "sample": probe.index, "samples": len(probe.inputs)}
            seed = zlib.crc32(json.dumps(about, sort_keys=True).encode())
            batch = Batch(model, network.loss, probe.inputs, probe.targets, seed)
            for name, rows in _compared(batch, methods, prices, judgement).items():
                tables[name].extend({**about, **row} for row in rows)
    return Comparison(**{name: pd.DataFrame(rows) for name, rows in tables.items()})


def _compared(
    batch: Batch, methods: Sequence[Method], prices: dict[int, float], judgement: Judgement
) -> dict[str, list[dict[str, Any]]]:
    truth = Truth.of(batch, judgement)
    about = {
        "parameters": truth.form.size,
        "damping": judgement.damping,
        "rank": len(truth.form.values) if truth.complete else math.nan,
        "truth_residual": truth.certificate.relative,
        "truth_error": truth.error,
    }
    tables: dict[str, list[dict[str, Any]]] = {name: [] for name in Comparison.__dataclass_fields__}
    for place, method in enumerate(methods):
        (found, seconds), memory = peak_memory_of(partial(_timed, method, batch))
        if place not in prices and not found.refusal:
            prices[place] = _price(method, batch)
        certificate = batch.certificate_of(found.claimed) if found.claimed else None
        key = {"method": method.name, "kind": method.kind, "effort": method.effort, "unit": method.unit}
        tables["measures"].append(
            {
                **about,
                **key,
                **truth.measures(found),
                "products": found.products,
                "converged": found.converged,
                "residual": certificate.relative if certificate else math.nan,
                "orthogonality": certificate.orthogonality if certificate else math.nan,
                "dtype": certificate.dtype if certificate else "",
                "certified": certificate is not None and certificate.passed,
                "refusal": found.refusal,
                "numbers": math.nan if found.form is None else found.form.numbers,
                "gradient_equivalents": math.nan if found.refusal else prices[place] * _units(found),
            }
        )
        tables["timing"].append({**key, "seconds": seconds, "memory_bytes": memory})
        if found.form is not None:
            pairs = _ends(found, certificate, truth, judgement.pairs)
            tables["eigenvalues"].extend({**key, **pair} for pair in pairs)
        if found.density is not None:
            tables["densities"].extend({**key, **share} for share in _binned(found.density))
    return tables


def _timed(method: Method, batch: Batch) -> tuple[Estimate, float]:
    started = time.perf_counter()
    found = method.estimate(batch)
    return found, time.perf_counter() - started


def _price(method: Method, batch: Batch) -> float:
    """Return the multiplications of a method's product, or of all of it where it takes none, over a gradient's."""
    _, of_gradient = multiplications_of(batch.gradient)
    found, count = multiplications_of(partial(method.estimate, batch))
    return count / of_gradient / _units(found)


def _units(found: Estimate) -> float:
    return 1.0 if math.isnan(found.products) else found.products


def _ends(found: Estimate, certificate: PairCertificate | None, truth: Truth, pairs: int) -> Iterator[dict[str, Any]]:
    """Yield the eigenvalues at both ends beside the exact ones, with what is proven of each."""
    for end in ENDS:
        exact = extreme_values(truth.spectrum, pairs, largest=end == "largest")
        exact_residuals = _residuals(ends(truth.form, pairs), truth.certificate, end, pairs)
        residuals = _residuals(found.claimed, certificate, end, pairs)
        proven = certificate is not None and certificate.orthogonality <= CERTIFIED
        for index, approximate in enumerate(found_values(found, end, pairs).tolist()):
            yield {
                "end": end,
                "index": index,
                "exact": float(exact[index]),
                "exact_residual": exact_residuals[index],
                "approximate": approximate,
                "claimed": not math.isnan(residuals[index]),
                "residual": residuals[index],
                "dtype": certificate.dtype if certificate else "",
                "products": found.products,
                "converged": found.converged,
                "certified": proven and residuals[index] <= CERTIFIED,
            }


def _residuals(claimed: Eigenbasis | None, certificate: PairCertificate | None, end: End, pairs: int) -> list[float]:
    """Return the relative residuals of the claimed pairs of one end, the outermost first; NaN where there is none."""
    given = (
        [] if certificate is None else certificate.relative_residuals[claimed_positions(claimed, end, pairs)].tolist()
    )
    return given + [math.nan] * (pairs - len(given))


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
