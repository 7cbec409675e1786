"""Sharpness of trained networks: the training loss's largest curvature and trace, and how the network generalises."""

import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import nn

from secondorder.curvature.trace_estimate import hutchinson_trace
from secondorder.training.batches import evenly_spaced
from secondorder.training.evaluation import evaluate
from secondorder.training.seed import Splits
from secondorder.validation.accumulated_products import accumulated_product, accumulated_trace
from secondorder.validation.eigensolvers import Product, largest_pairs
from secondorder.validation.trained import TrainedNetwork, TrainedRun

_KRYLOV_VECTORS = 10
_GENERATOR_SEED = 0
# Of which the loss and the metric in training are taken.
_TRAINING_SAMPLES = 10_000


@dataclass(frozen=True)
class LargestEigenvalue:
    """The largest eigenvalue of a symmetric matrix.

    Attributes:
        largest_eigenvalue: λ; NaN where the iteration did not converge.
        residual: ‖Hv − λv‖ / |λ|, from a product of its own; ‖Hv‖ where λ is 0.
        products: Products with the matrix that were spent.
        converged: Whether it did.
    """

    largest_eigenvalue: float
    residual: float
    products: int
    converged: bool


@dataclass(frozen=True)
class Trace:
    """The trace of a Hessian.

    Attributes:
        trace: Its value.
        trace_method: ``exact``, from the closed form, or ``Hutchinson``, the mean of zᵀHz over random signs z.
        trace_standard_error: Of that mean; 0 where exact.
    """

    trace: float
    trace_method: str
    trace_standard_error: float


@dataclass(frozen=True)
class Effort:
    """How hard to look.

    Attributes:
        images: Training images, evenly spaced, whose mean loss is looked at.
        tolerance: Relative accuracy of the largest eigenvalue.
        products: Products after which it counts as not converged.
        probes: Random vectors of a trace that is not exact.
    """

    images: int
    tolerance: float
    products: int
    probes: int


def measure_sharpness(runs: Iterable[TrainedRun], splits: Splits, effort: Effort) -> pd.DataFrame:
    """Return one row per seed of each run, of the network at its last snapshot.

    Args:
        runs: The runs.
        splits: The data they were trained on.
        effort: How hard to look.

    Returns:
        Columns problem, run, seed, share, spent, status, images, those of :class:`LargestEigenvalue` and
        :class:`Trace` (of the Hessian of the mean training loss without the penalty, over ``images`` images), and
        training_loss, validation_loss, loss_gap (validation − training), training_metric, validation_metric,
        metric_gap (by how much it is better in training; in the metric's own unit). A diverged seed has its status and
        no numbers.
    """
    rows: list[dict[str, Any]] = []
    for run in runs:
        for seed, status in run.statuses.items():
            row = {**run.names, "seed": seed, "status": status, "images": effort.images}
            if status == "finished":
                *_, last = run.networks(seed)
                row |= {**last.names, **sharpness_of(last, splits, effort)}
            rows.append(row)
    columns = ["problem", "run", "seed", "share", "spent", "status", "images", *_NUMBERS]
    return pd.DataFrame(rows).reindex(columns=columns)


_NUMBERS = (
    *LargestEigenvalue.__dataclass_fields__,
    *Trace.__dataclass_fields__,
    "training_loss",
    "validation_loss",
    "loss_gap",
    "training_metric",
    "validation_metric",
    "metric_gap",
)


def sharpness_of(network: TrainedNetwork, splits: Splits, effort: Effort) -> dict[str, Any]:
    """Return the numbers of one network, as columns of :func:`measure_sharpness`."""
    chosen = evenly_spaced(effort.images, len(splits.training))
    problem = network.problem
    inputs, targets = splits.training.examples(*splits.training.subset(chosen), reconstruct=problem.reconstructs)
    count = sum(parameter.numel() for parameter in network.model.parameters())
    product = accumulated_product(network.model, network.loss, inputs, targets)
    largest = largest_eigenvalue(product, count, effort.tolerance, effort.products)
    if is_dense(network.model):
        trace = Trace(accumulated_trace(network.model, network.loss, inputs, targets), "exact", 0.0)
    else:
        trace = estimated_trace(product, count, effort.probes)
    training_loss, training_metric = evaluate(network.model, problem, splits.training, _TRAINING_SAMPLES)
    validation_loss, validation_metric = evaluate(network.model, problem, splits.validation)
    return {
        **asdict(largest),
        **asdict(trace),
        "training_loss": training_loss,
        "validation_loss": validation_loss,
        "loss_gap": validation_loss - training_loss,
        "training_metric": training_metric,
        "validation_metric": validation_metric,
        "metric_gap": problem.metric.gap(training_metric, validation_metric),
    }


def largest_eigenvalue(product: Product, size: int, tolerance: float, products: int) -> LargestEigenvalue:
    """Return the largest eigenvalue by the implicitly restarted Lanczos method.

    Args:
        product: v ↦ Hv.
        size: P.
        tolerance: Relative accuracy.
        products: Products after which it counts as not converged.
    """
    found = largest_pairs(product, size, 1, "LA", tolerance, _KRYLOV_VECTORS, products)
    if not found.converged:
        return LargestEigenvalue(math.nan, math.nan, found.products, converged=False)
    value, vector = float(found.values), found.vectors[:, 0]
    error = float((product(vector) - value * vector).norm())
    residual = error / abs(value) if value else error
    return LargestEigenvalue(value, residual, found.products, converged=True)


def is_dense(model: nn.Module) -> bool:
    """Return whether all parameters belong to dense layers, for which the closed form's trace is cheap."""
    return all(isinstance(module, nn.Linear) for module in model.modules() if list(module.parameters(recurse=False)))


def estimated_trace(product: Product, size: int, probes: int) -> Trace:
    """Return Hutchinson's estimate of the trace.

    Args:
        product: v ↦ Hv.
        size: P.
        probes: Number of random signs, at least 2.
    """
    generator = np.random.default_rng(_GENERATOR_SEED)
    estimate = hutchinson_trace(product, (torch.from_numpy(generator.choice([-1.0, 1.0], size)) for _ in range(probes)))
    return Trace(estimate.trace, "Hutchinson", estimate.standard_error)
