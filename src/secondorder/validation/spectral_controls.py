"""Spectra that are wrong on purpose, and the checks that have to notice.

Each fault is made once, of a sound computation with a real Hessian, and both go through the same check: the fault has
to exceed the tolerance, its sound counterpart has to be within it. A check that cannot fail shows nothing.

- ``one layer's sign``: the product that Lanczos steps are made with has the wrong sign in the first layer's part. The
  residuals ‖H v − λ v‖ of the pairs, by another library's products, have to tell.
- ``half precision``: the same steps in float16. The same residuals have to tell, in float64.
- ``weights not divided``: the quadratures of several start vectors added up in place of their mean. The mass of the
  spectral density has to tell.
- ``not orthogonalised again``: the Lanczos recurrence as it stands, whose vectors lose their orthogonality as soon as
  the first pairs converge, so that eigenvalues come back as copies (Golub & Van Loan 2013, section 10.3). The
  orthogonality of the pairs' vectors has to tell; their residuals do not.
"""

from collections.abc import Iterable
from typing import Any

import pandas as pd
import torch
from torch import nn

from secondorder.curvature.eigenbasis import leading
from secondorder.curvature.eigenpair_certificate import PairCertificate, certify
from secondorder.curvature.hessian_vector_products import HessianVectorProducts
from secondorder.curvature.lanczos import LanczosBasis, lanczos
from secondorder.curvature.spectral_density import SpectralDensity, lanczos_quadrature
from secondorder.errors import InputError, ResultError
from secondorder.problems.problem import Loss
from secondorder.validation.eigensolvers import Product
from secondorder.validation.library_products import curvlinops_products
from secondorder.validation.trained import Probe, TrainedNetwork, first_network

STEPS = 100
"""Lanczos steps, after which the leading pairs of a network's Hessian have converged to rounding."""

PAIRS = 5
"""Leading pairs that are looked at."""

TOLERANCE = 1e-10
"""Of every check, in float64."""

_PROBES = 2
_QUADRATURE_STEPS = 10
_START_SEED = 0


def control_spectra(networks: Iterable[TrainedNetwork], probe: Probe) -> pd.DataFrame:
    """Return what the checks say of faults, and of their sound counterparts, on the first of trained networks.

    Args:
        networks: The networks.
        probe: The batch that the Hessian is of.

    Returns:
        Columns problem, run, seed, share, spent, samples and those of :func:`measure_spectral_controls`.

    Raises:
        ResultError: There is no network; a fault was not caught, or its sound counterpart was.
    """
    network = first_network(networks)
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
    independent = curvlinops_products(model, loss, inputs, targets)

    def certificate(krylov: LanczosBasis) -> PairCertificate:
        pairs = leading(krylov, PAIRS)
        return certify(pairs.values, pairs.vectors, independent, TOLERANCE)

    first_layer = next(iter(model.parameters())).numel()
    wrong_sign = certificate(lanczos(with_wrong_sign(product, first_layer), starts[0], STEPS))
    half = certificate(lanczos_in_half_precision(product, starts[0], STEPS))
    plain = certificate(lanczos_without_reorthogonalization(product, starts[0], STEPS))
    sound = certificate(lanczos(product, starts[0], STEPS))
    density = lanczos_quadrature(product, starts, _QUADRATURE_STEPS)
    added = with_added_weights(density, _PROBES)
    table = pd.DataFrame(
        [
            *_both("one layer's sign", "residual", wrong_sign.relative, sound.relative),
            *_both("half precision", "residual", half.relative, sound.relative),
            *_both("weights not divided", "mass", abs(added.mass - 1), abs(density.mass - 1)),
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


def with_added_weights(density: SpectralDensity, probes: int) -> SpectralDensity:
    """Return the sum over the probes that a density is the mean of."""
    return SpectralDensity(density.nodes, density.weights * probes)


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


def _both(control: str, check: str, wrong: float, sound: float) -> list[dict[str, Any]]:
    return [
        {
            "control": control,
            "sound": is_sound,
            "check": check,
            "value": value,
            "tolerance": TOLERANCE,
            # Not "value > tolerance": what is no number must be caught.
            "caught": not value <= TOLERANCE,
        }
        for is_sound, value in ((False, wrong), (True, sound))
    ]
