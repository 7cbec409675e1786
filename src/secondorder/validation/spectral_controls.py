"""Spectra that are wrong on purpose, and the checks that have to notice.

Each fault is made once, of a sound computation with a real Hessian, and both go through the same check: the fault has
to exceed the tolerance, its sound counterpart has to be within it. A check that cannot fail shows nothing.

- ``one layer's sign``: the product that Lanczos steps are made with has the wrong sign in the first layer's part. The
  residuals ‖H v − λ v‖ of the pairs, by double backward, have to tell.
- ``half precision``: the same steps in float16. The same residuals have to tell, in float64.
- ``weights not divided``: the quadratures of several start vectors z put together without dividing their weights. The
  first two moments of the spectral density have to tell, which are the means of zᵀHz/zᵀz and ‖Hz‖²/zᵀz, by double
  backward. Its mass would tell of no other fault: it is 1 for the Gauss quadrature of any matrix.
- ``not orthogonalised again``: the Lanczos recurrence as it stands, whose vectors lose their orthogonality as soon as
  the first pairs converge, so that eigenvalues come back as copies (Golub & Van Loan 2013, section 10.3). The
  orthogonality of the pairs' vectors has to tell; their residuals do not.
"""

import math
from collections.abc import Iterable
from typing import Any

import pandas as pd
import torch
from torch import nn

from secondorder.curvature.eigenbasis import leading
from secondorder.curvature.eigenpair_certificate import PairCertificate
from secondorder.curvature.hessian_vector_products import HessianVectorProducts
from secondorder.curvature.lanczos import LanczosBasis, lanczos
from secondorder.curvature.spectral_density import SpectralDensity, lanczos_quadrature
from secondorder.errors import InputError, ResultError
from secondorder.problems.problem import Loss
from secondorder.validation.approximation_methods import CERTIFIED, Batch
from secondorder.validation.eigensolvers import Product
from secondorder.validation.trained import Probe, TrainedNetwork, first_network

STEPS = 100
"""Lanczos steps, after which the leading pairs of a network's Hessian have converged to rounding."""

PAIRS = 5
"""Leading pairs that are looked at."""

_PROBES = 2
_QUADRATURE_STEPS = 10
_START_SEED = 0


def control_spectra(networks: Iterable[TrainedNetwork], probe: Probe) -> pd.DataFrame:
    """Return what the checks say of faults, and of their sound counterparts, on the last of trained networks.

    Args:
        networks: The networks.
        probe: The batch that the Hessian is of.

    Returns:
        Columns problem, run, seed, share, spent, samples and those of :func:`measure_spectral_controls`.

    Raises:
        ResultError: There is no network; a fault was not caught, or its sound counterpart was.
    """
    network = first_network(reversed(list(networks)))
    found = measure_spectral_controls(network.model.double(), network.loss, probe.inputs, probe.targets)
    about = {**network.names, "samples": len(probe.inputs)}
    return found.assign(**about)[[*about, *found]]


def measure_spectral_controls(
    model: nn.Module, loss: Loss, inputs: torch.Tensor, targets: torch.Tensor
) -> pd.DataFrame:
    """Return two rows per control, of the fault and of its sound counterpart.

    Args:
        model: The network, in float64, with more than :data:`STEPS` nonzero eigenvalues.
        loss: Mean over a batch.
        inputs: Inputs, batch first.
        targets: Targets, batch first.

    Returns:
        Columns control, sound (whether the row is of the counterpart), check, value (what the check measures),
        tolerance, caught (whether the value exceeds it).

    Raises:
        InputError: The network is not in float64.
        ResultError: A fault was not caught, or its sound counterpart was.
    """
    product = HessianVectorProducts(model, loss, inputs, targets)
    like = product.gradient
    if like.dtype != torch.float64:
        raise InputError(f"the network is in {like.dtype}, and the tolerance is of float64; convert it with .double()")
    generator = torch.Generator().manual_seed(_START_SEED)
    starts = torch.randn(_PROBES, len(like), dtype=like.dtype, generator=generator).to(like.device)
    batch = Batch(model, loss, inputs, targets)

    def certificate(krylov: LanczosBasis) -> PairCertificate:
        return batch.certificate_of(leading(krylov, PAIRS))

    wrong_sign = certificate(lanczos(with_wrong_sign(product, _size_of_first_layer(model)), starts[0], STEPS))
    half = certificate(lanczos_in_half_precision(product, starts[0], STEPS))
    plain = certificate(lanczos_without_reorthogonalization(product, starts[0], STEPS))
    sound = certificate(lanczos(product, starts[0], STEPS))
    errors = [
        moment_error(density, starts, batch.independent_product)
        for density in (
            quadratures_put_together(product, starts, _QUADRATURE_STEPS),
            lanczos_quadrature(product, starts, _QUADRATURE_STEPS),
        )
    ]
    table = pd.DataFrame(
        [
            *_both("one layer's sign", "residual", wrong_sign.relative, sound.relative),
            *_both("half precision", "residual", half.relative, sound.relative),
            *_both("weights not divided", "moments", *errors),
            *_both("not orthogonalised again", "orthogonality", plain.orthogonality, sound.orthogonality),
        ]
    )
    require_caught(table)
    return table


def require_caught(table: pd.DataFrame) -> None:
    """Check that every fault was noticed, and no sound counterpart taken for one.

    Raises:
        ResultError: One was not, or one was.
    """
    mistaken = table[table["sound"] & table["caught"]]
    if not mistaken.empty:
        case = mistaken.iloc[0]
        raise ResultError(
            f"the sound counterpart of the control {case['control']!r} failed the check of its {case['check']} with "
            f"{case['value']:.1e} of {case['tolerance']:g}; a check that always fails shows nothing, repair it"
        )
    missed = table[~table["sound"] & ~table["caught"]]
    if not missed.empty:
        case = missed.iloc[0]
        raise ResultError(
            f"the control {case['control']!r} passed the check of its {case['check']} with {case['value']:.1e} of "
            f"{case['tolerance']:g}; the check cannot tell a wrong spectrum, repair it"
        )


def with_wrong_sign(product: Product, count: int) -> Product:
    """Return v ↦ S H v, where S changes the sign of the first ``count`` entries."""

    def wrong(vector: torch.Tensor) -> torch.Tensor:
        image = product(vector)
        return torch.cat([-image[:count], image[count:]])

    return wrong


def quadratures_put_together(product: Product, starts: torch.Tensor, steps: int) -> SpectralDensity:
    """Return the quadratures of all starts in one, as :func:`lanczos_quadrature` but for dividing their weights."""
    each = [lanczos_quadrature(product, start[None], steps) for start in starts]
    return SpectralDensity(torch.cat([one.nodes for one in each]), torch.cat([one.weights for one in each]))


def moment_error(density: SpectralDensity, starts: torch.Tensor, independent_product: Product) -> float:
    """Return by how much the first two moments of a density miss those of its start vectors, relative to the second.

    A Gauss quadrature of two steps or more has Σ_j w_j θ_j = zᵀHz/zᵀz and Σ_j w_j θ_j² = ‖Hz‖²/zᵀz, and their means
    over several z (Golub & Meurant 1994).

    Args:
        density: Σ_j w_j δ(λ − θ_j).
        starts: z, shape [probes, P].
        independent_product: v ↦ H v, by another way than the one that made the density.
    """
    units = [start / start.norm() for start in starts]
    images = [independent_product(unit) for unit in units]
    first = sum(float(unit @ image) for unit, image in zip(units, images, strict=True)) / len(units)
    second = sum(float(image @ image) for image in images) / len(units)
    return max(abs(density.moment(1) - first) / math.sqrt(second), abs(density.moment(2) - second) / second)


def lanczos_in_half_precision(product: Product, start: torch.Tensor, steps: int) -> LanczosBasis:
    """Return the Krylov basis of :func:`lanczos`, with every vector, product and coefficient rounded to float16."""

    def rounded(numbers: torch.Tensor) -> torch.Tensor:
        return numbers.half().to(numbers.dtype)

    krylov = lanczos(lambda vector: rounded(product(rounded(vector))), start, steps)
    return LanczosBasis(rounded(krylov.basis), rounded(krylov.tridiagonal), krylov.remaining)


def lanczos_without_reorthogonalization(product: Product, start: torch.Tensor, steps: int) -> LanczosBasis:
    """Return what the three-term recurrence alone makes of as many steps: H v_j − α_j v_j − β_{j−1} v_{j−1}."""
    basis = start.new_zeros(len(start), steps)
    tridiagonal = start.new_zeros(steps, steps)
    following, before, beside = start / start.norm(), torch.zeros_like(start), 0.0
    for step in range(steps):
        vector = basis[:, step] = following
        image = product(vector)
        tridiagonal[step, step] = vector @ image
        image = image - tridiagonal[step, step] * vector - beside * before
        before, beside = vector, float(image.norm())
        following = image / beside
        if step + 1 < steps:
            tridiagonal[step, step + 1] = tridiagonal[step + 1, step] = beside
    return LanczosBasis(basis, tridiagonal, beside)


def _size_of_first_layer(model: nn.Module) -> int:
    layers = (list(module.parameters(recurse=False)) for module in model.modules())
    return sum(parameter.numel() for parameter in next(own for own in layers if own))


def _both(control: str, check: str, wrong: float, sound: float) -> list[dict[str, Any]]:
    return [
        {
            "control": control,
            "sound": is_sound,
            "check": check,
            "value": value,
            "tolerance": CERTIFIED,
            # Not "value > tolerance": what is no number must be caught.
            "caught": not value <= CERTIFIED,
        }
        for is_sound, value in ((False, wrong), (True, sound))
    ]
