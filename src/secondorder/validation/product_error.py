"""The error of Hessian-vector products by every method, over the size of the step for those that take one.

Each product is compared with double backward in float64 of the very same numbers: those of a float32 network are
converted. Error: ‖Hv − reference‖ / ‖reference‖. A complex step subtracts nothing, so its error does not depend on the
step as long as its square vanishes beside 1 (Squire & Trapp 1998); that of a finite difference has truncation on one
side and cancellation on the other. Deliberately wrong products go through the same comparison and have to fail.

Images are small, so that the reference itself has the digits that are asked for. Of 28 × 28 pixels most are equal, and
behind batch normalisation sums over all of them cancel: rounding alone is 1e-13 there, by every method.
"""

import copy
from collections.abc import Iterator, Sequence
from typing import Any

import pandas as pd
import torch
from torch import nn
from torch.nn import functional

from secondorder.curvature.hessian_vector_products import METHODS, MethodName, hessian_vector_product
from secondorder.curvature.products import double_backward
from secondorder.errors import CapabilityError, InputError, ResultError
from secondorder.validation.networks import initialised
from secondorder.validation.product_networks import COMPARED

SAMPLES = 32
"""Images in the batch of the stage."""

TOLERANCES = {torch.float32: 2e-6, torch.float64: 1e-14}
WITH_STEP: tuple[MethodName, ...] = ("complex_step", "finite_difference")
CONTROLS = {
    "one layer's sign": "the part of the first layer's parameters with the wrong sign",
    "another point": "the product at parameters that are all larger by one part in ten thousand",
}
"""The deliberately wrong products, each with what is wrong."""

_VECTOR_SEED = 1
_DISPLACEMENT = 1e-4


def measure_product_error(images: torch.Tensor, labels: torch.Tensor, steps: Sequence[float]) -> pd.DataFrame:
    """Return one row per network, dtype, method and step, and one per control.

    Args:
        images: Real images, shape (n, 1, 8, 8), float64.
        labels: Their labels, shape (n,).
        steps: Step sizes h, relative to the vector; a dtype is given those that are normal numbers in it.

    Returns:
        Columns network, dtype, method, step (NaN for methods without), control (empty for none), error (NaN where the
        method refuses the network or the step), tolerance, passed (whether the error is within it).

    Raises:
        ResultError: A control passed, so that the comparison shows nothing.
    """
    rows: list[dict[str, Any]] = []
    for network in COMPARED:
        for dtype in TOLERANCES:
            rows.extend(_rows_of(network, dtype, images.to(dtype), labels, steps))
    table = pd.DataFrame(rows)
    require_failing_controls(table)
    return table


def require_failing_controls(table: pd.DataFrame) -> None:
    """Check that every deliberately wrong product was found to be wrong.

    Raises:
        ResultError: One passed.
    """
    blind = table[(table["control"] != "") & table["passed"]]
    if not blind.empty:
        case = blind.iloc[0]
        raise ResultError(
            f"the control {case['control']!r} ({case['network']}, {case['dtype']}) passed with an error of "
            f"{case['error']:.1e}; the comparison cannot tell a wrong product, repair it"
        )


def relative_error(product: torch.Tensor, reference: torch.Tensor) -> float:
    """Return ‖Hv − reference‖ / ‖reference‖ in float64.

    Args:
        product: Hv, shape (P,).
        reference: Shape (P,), float64.
    """
    return float((product.double() - reference).norm() / reference.norm())


def _rows_of(
    network: str, dtype: torch.dtype, images: torch.Tensor, labels: torch.Tensor, steps: Sequence[float]
) -> Iterator[dict[str, Any]]:
    # In training mode, where batch normalisation makes the samples depend on each other.
    model = initialised(COMPARED[network], seed=0).train().to(dtype)
    parameters = sum(parameter.numel() for parameter in model.parameters())
    vector = torch.randn(parameters, generator=torch.Generator().manual_seed(_VECTOR_SEED), dtype=dtype)
    reference = _reference(model, images, labels, vector)

    def row(method: str, step: float, error: float, control: str = "") -> dict[str, Any]:
        return {
            "network": network,
            "dtype": str(dtype).removeprefix("torch."),
            "method": method,
            "step": step,
            "control": control,
            "error": error,
            "tolerance": TOLERANCES[dtype],
            "passed": error <= TOLERANCES[dtype],
        }

    normal = [step for step in steps if step >= torch.finfo(dtype).tiny]
    for method in METHODS:
        for step in normal if method in WITH_STEP else [None]:
            try:
                product = hessian_vector_product(model, functional.cross_entropy, images, labels, vector, method, step)
            except (CapabilityError, InputError):
                error = torch.nan
            else:
                error = relative_error(product, reference)
            yield row(method, torch.nan if step is None else step, error)
    for control, wrong in _controls(model, images, labels, vector, reference).items():
        yield row("double_backward", torch.nan, relative_error(wrong.to(dtype), reference), control)


def _reference(model: nn.Module, images: torch.Tensor, labels: torch.Tensor, vector: torch.Tensor) -> torch.Tensor:
    exact = copy.deepcopy(model).double()
    inputs = images.double()
    return double_backward(
        lambda: functional.cross_entropy(exact(inputs), labels), list(exact.parameters()), vector.double()
    )


def _controls(
    model: nn.Module, images: torch.Tensor, labels: torch.Tensor, vector: torch.Tensor, reference: torch.Tensor
) -> dict[str, torch.Tensor]:
    flipped = reference.clone()
    flipped[: next(model.parameters()).numel()] *= -1
    elsewhere = copy.deepcopy(model)
    with torch.no_grad():
        for parameter in elsewhere.parameters():
            parameter.mul_(1 + _DISPLACEMENT)
    displaced = _reference(elsewhere, images, labels, vector)
    return {"one layer's sign": flipped, "another point": displaced}
