"""The closed form of the Hessian against the dense matrix of automatic differentiation, case by case.

What is compared, with ŷ the closed form's and y the dense value (derived in docs/methods.md):

- all P eigenvalues, the closed form's r with zeros for the others: max |λ̂ᵢ − λᵢ| / max |λ|;
- all entries of the matrix: max |Ĥᵢⱼ − Hᵢⱼ| / max |λ|;
- the direction of each spectral adjustment, with and without weight decay: ‖d̂ − d‖ / ‖d‖, divided by the condition
  number of the matrix that the direction solves for, because that is by how much rounding of the matrix comes back.

None may exceed max(1e-12, 10 eps / (1 − p_y)), p_y the probability of the true label: the second term is what the
loss's own derivative p − e_y loses on a fitted sample. Deliberately wrong Hessians go through the same comparison and
have to fail.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product
from typing import Any

import pandas as pd
import torch
from torch import nn

from secondorder.curvature.adjustments import ADJUSTMENTS, AdjustmentName
from secondorder.curvature.exact_hessian import ExactHessian
from secondorder.errors import ResultError
from secondorder.problems.activations import ACTIVATIONS, ActivationName
from secondorder.validation.dense import DenseHessian, dense_hessian
from secondorder.validation.networks import (
    LOSSES,
    NETWORKS,
    fit,
    initialised,
    residuals,
    targets_for,
)

STRICTEST_TOLERANCE = 1e-12
DAMPING = 0.01
WEIGHT_DECAYS = (0.0, 0.001)
_SMALLEST_FLIPPED = 1e-6
_EPSILON = torch.finfo(torch.float64).eps

CONTROLS = {
    "layers not coupled": "the blocks of single layers taken for the whole Hessian",
    "Gauss-Newton part": "the Hessian without what the activations' curvature and the mixed term add",
    "one sign flipped": f"one eigenvalue, the smallest above {_SMALLEST_FLIPPED:g} of the largest, with the wrong sign",
}
"""The deliberately wrong Hessians, each with what is wrong."""


@dataclass(frozen=True)
class Case:
    """One comparison.

    Attributes:
        network: Name in :data:`~secondorder.validation.networks.NETWORKS`.
        activation: Name in :data:`~secondorder.problems.activations.ACTIVATIONS`.
        loss: Name in :data:`~secondorder.validation.networks.LOSSES`.
        samples: Samples in the batch.
        fitted: 1 − p_y to train the network to on its samples first; None for a fresh network.
    """

    network: str
    activation: ActivationName
    loss: str
    samples: int
    fitted: float | None = None


@dataclass(frozen=True)
class Claim:
    """A Hessian that claims to be exact, as far as it is compared.

    Attributes:
        rank: How many eigenvalues may differ from 0.
        eigenvalues: Those.
        matrix: All entries, shape (P, P).
        directions: The direction for each adjustment and weight decay; empty where none is claimed.
        certificate: Largest residual ‖Hv − λv‖ over the largest |eigenvalue|.
    """

    rank: int
    eigenvalues: torch.Tensor
    matrix: torch.Tensor
    directions: Mapping[tuple[AdjustmentName, float], torch.Tensor]
    certificate: float


def cases(samples: Sequence[int], fitted: Sequence[float]) -> list[Case]:
    """Return every combination of network, activation, loss and number of samples, then the fitted samples.

    Args:
        samples: Sizes of the batches.
        fitted: 1 − p_y of the fitted samples: a perceptron of each activation on one sample.
    """
    fresh = [Case(*combination) for combination in product(NETWORKS, ACTIVATIONS, LOSSES, samples)]
    trained = [
        Case("perceptron", activation, "cross_entropy", 1, residual)
        for activation, residual in product(ACTIVATIONS, fitted)
    ]
    return fresh + trained


def validate(
    images: torch.Tensor, labels: torch.Tensor, hidden: Sequence[int], samples: Sequence[int], fitted: Sequence[float]
) -> pd.DataFrame:
    """Return one row per case, and one per control on a perceptron and one sample with each activation and loss.

    Args:
        images: Real images, shape (n, 1, 8, 8), float64; case i of a size takes the first of them.
        labels: Their labels, shape (n,).
        hidden: Widths of the networks' hidden layers.
        samples: Sizes of the batches.
        fitted: 1 − p_y of the fitted samples.

    Returns:
        Columns network, activation, loss, samples, fitted (NaN for fresh networks), control (empty for none),
        parameters, rank, residual (the smallest 1 − p_y of the batch), largest_eigenvalue, eigenvalue_error,
        matrix_error, direction_error (NaN for controls), certificate, tolerance, passed.

    Raises:
        ResultError: A control passed, so that the comparison shows nothing.
    """
    rows: list[dict[str, Any]] = []
    for case in cases(samples, fitted):
        rows.extend(_rows_of(case, images[: case.samples], labels[: case.samples], hidden))
    table = pd.DataFrame(rows)
    require_failing_controls(table)
    return table


def require_failing_controls(table: pd.DataFrame) -> None:
    """Check that every deliberately wrong Hessian was found to be wrong.

    Raises:
        ResultError: One passed.
    """
    blind = table[(table["control"] != "") & table["passed"]]
    if not blind.empty:
        case = blind.iloc[0]
        raise ResultError(
            f"the control {case['control']!r} ({case['network']}, {case['activation']}, {case['loss']}) passed with an "
            f"eigenvalue error of {case['eigenvalue_error']:.1e}; the comparison cannot tell a wrong Hessian, repair it"
        )


def tolerance(residual: float, loss: str) -> float:
    """Return max(1e-12, 10 eps / (1 − p_y)) for cross-entropy, 1e-12 for other losses.

    Args:
        residual: The smallest 1 − p_y of the batch.
        loss: The loss's name.
    """
    if loss != "cross_entropy":
        return STRICTEST_TOLERANCE
    return max(STRICTEST_TOLERANCE, 10 * _EPSILON / residual)


def eigenvalue_error(claimed: torch.Tensor, true: torch.Tensor) -> float:
    """Return max |λ̂ᵢ − λᵢ| / max |λ|, both in ascending order.

    Args:
        claimed: λ̂, shape (r,); the other P − r are zeros.
        true: λ, ascending, shape (P,).
    """
    padded, _ = torch.cat([claimed, true.new_zeros(len(true) - len(claimed))]).sort()
    return float((padded - true).abs().max() / true.abs().max())


def compare(truth: DenseHessian, claim: Claim, allowed: float) -> dict[str, Any]:
    """Return the errors of a claim and whether it passed, as columns of :func:`validate`.

    Args:
        truth: The dense Hessian.
        claim: The claim.
        allowed: No error may exceed it.
    """
    errors = {
        "eigenvalue_error": eigenvalue_error(claim.eigenvalues, truth.eigenvalues),
        "matrix_error": float((claim.matrix - truth.matrix).abs().max()) / truth.scale,
        "direction_error": max(
            (_direction_error(truth, *given) for given in claim.directions.items()), default=torch.nan
        ),
    }
    return {
        "parameters": len(truth.eigenvalues),
        "rank": claim.rank,
        "largest_eigenvalue": truth.scale,
        **errors,
        "certificate": claim.certificate,
        "tolerance": allowed,
        # Not "error > allowed": a NaN among the numbers must fail.
        "passed": all(
            error <= allowed for name, error in errors.items() if claim.directions or name != "direction_error"
        ),
    }


def _direction_error(truth: DenseHessian, chosen: tuple[AdjustmentName, float], direction: torch.Tensor) -> float:
    adjustment, weight_decay = chosen
    expected = truth.direction(DAMPING, adjustment, weight_decay)
    difference = float((direction - expected).norm() / expected.norm())
    return difference / truth.condition(DAMPING, adjustment, weight_decay)


def _rows_of(case: Case, images: torch.Tensor, labels: torch.Tensor, hidden: Sequence[int]) -> Iterator[dict[str, Any]]:
    model = initialised(partial(NETWORKS[case.network], hidden, case.activation), seed=0)
    if case.fitted is not None:
        fit(model, images, labels, case.fitted)
    residual = float(residuals(model, images, labels).min())
    loss, targets = LOSSES[case.loss], targets_for(case.loss, labels)
    truth = dense_hessian(model, loss, images, targets)
    allowed = tolerance(residual, case.loss)
    about = {
        "network": case.network,
        "activation": case.activation,
        "loss": case.loss,
        "samples": case.samples,
        "fitted": torch.nan if case.fitted is None else case.fitted,
    }
    exact = ExactHessian(model, loss, images, targets)
    claim = claim_of(exact)
    yield {**about, "control": "", "residual": residual, **compare(truth, claim, allowed)}
    if case.network == "perceptron" and case.samples == 1 and case.fitted is None:
        for name, wrong in _controls(model, case.loss, images, targets, claim).items():
            yield {**about, "control": name, "residual": residual, **compare(truth, wrong, allowed)}


def claim_of(exact: ExactHessian) -> Claim:
    """Return what the closed form claims."""
    directions = {
        (adjustment, decay): exact.newton_direction(DAMPING, adjustment=adjustment, weight_decay=decay)
        for adjustment, decay in product(ADJUSTMENTS, WEIGHT_DECAYS)
    }
    return Claim(
        rank=exact.rank,
        eigenvalues=exact.eigenvalues(),
        matrix=exact.dense(),
        directions=directions,
        certificate=exact.certificate().relative,
    )


def _controls(
    model: nn.Module, loss: str, images: torch.Tensor, targets: torch.Tensor, right: Claim
) -> dict[str, Claim]:
    wrong = {
        "layers not coupled": ExactHessian(model, LOSSES[loss], images, targets, coupling="layerwise"),
        "Gauss-Newton part": ExactHessian(model, LOSSES[loss], images, targets, curvature="ggn"),
    }
    claims = {
        name: Claim(hessian.rank, hessian.eigenvalues(), hessian.dense(), {}, torch.nan)
        for name, hessian in wrong.items()
    }
    return {**claims, "one sign flipped": _with_one_sign_flipped(right)}


def _with_one_sign_flipped(right: Claim) -> Claim:
    values, vectors = torch.linalg.eigh(right.matrix)
    large = torch.where(values.abs() > _SMALLEST_FLIPPED * values.abs().max(), values.abs(), torch.inf)
    chosen = int(large.argmin())
    flip = -2 * values[chosen] * torch.outer(vectors[:, chosen], vectors[:, chosen])
    eigenvalues = right.eigenvalues.clone()
    nearest = int((eigenvalues - values[chosen]).abs().argmin())
    eigenvalues[nearest] = -eigenvalues[nearest]
    return Claim(right.rank, eigenvalues, right.matrix + flip, {}, torch.nan)
