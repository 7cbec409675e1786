"""How far a matrix is from the exact Hessian: by eigenvalues, eigenspace, density, trace, entries and Newton direction.

All take matrices whose spectra are known in full (:mod:`secondorder.curvature.forms`). Errors are relative, so that
networks and moments of training can be put side by side.
"""

import math

import torch
from scipy.stats import wasserstein_distance

from secondorder.curvature.forms.low_rank import LowRankForm
from secondorder.curvature.forms.symmetric_form import Spectrum, SymmetricForm
from secondorder.curvature.spectral_density import SpectralDensity

_VECTORS_AT_ONCE = 256


def extreme_values(spectrum: Spectrum, count: int, *, largest: bool) -> torch.Tensor:
    """Return the ``count`` largest eigenvalues, descending, or the most negative, ascending, each as often as it is.

    Args:
        spectrum: The eigenvalues.
        count: How many, at most P.
        largest: Which end.
    """
    order = spectrum.values.argsort(descending=largest)
    # Of an eigenvalue that the matrix has more often than asked for there are enough with ``count``.
    often = spectrum.counts[order].clamp(max=count)
    return torch.repeat_interleave(spectrum.values[order], often)[:count]


def extreme_error(found: torch.Tensor, exact: torch.Tensor) -> float:
    """Return max |λ̂_i − λ_i| / max |λ_i| over the eigenvalues at one end; NaN where exact ones are 0 or one lacks."""
    scale = float(exact.abs().max())
    return float((found.to(exact) - exact).abs().max()) / scale if scale else math.nan


def leading_error(found: Spectrum, exact: Spectrum) -> float:
    """Return |λ̂ − λ| / |λ| of the eigenvalues of largest size, with their signs; NaN where the exact one is 0."""
    largest, wanted = (float(each.values[each.values.abs().argmax()]) for each in (found, exact))
    return abs(largest - wanted) / abs(wanted) if wanted else math.nan


def leading_gap(spectrum: Spectrum, count: int) -> float:
    """Return (|λ_k| − |λ_{k+1}|) / |λ_1| of eigenvalues ordered by size; 0 where all are 0, 1 where there are only k.

    At 0 the eigenspace of the k largest is none: other vectors would do as well.

    Args:
        spectrum: The eigenvalues.
        count: k.
    """
    order = spectrum.values.abs().argsort(descending=True)
    often = spectrum.counts[order].clamp(max=count + 1)
    sizes = torch.repeat_interleave(spectrum.values[order].abs(), often)
    if len(sizes) == count:
        return 1.0
    largest = float(sizes[0])
    return float(sizes[count - 1] - sizes[count]) / largest if largest else 0.0


def subspace_angle(first: torch.Tensor, second: torch.Tensor) -> float:
    """Return the largest principal angle between two subspaces, in degrees (Golub & Van Loan 2013, section 6.4.3).

    It is 90 where one of them has fewer dimensions. Small angles come from the sine, whose digits the cosine loses.

    Args:
        first: Orthonormal columns, shape [P, k].
        second: Orthonormal columns, shape [P, m].
    """
    if first.shape[1] != second.shape[1]:
        return 90.0
    outside = second - first @ (first.T @ second)
    sine = float(torch.linalg.matrix_norm(outside, 2).clamp(max=1))
    return math.degrees(math.asin(sine))


def density_distance(found: SpectralDensity, exact: SpectralDensity) -> float:
    """Return the Wasserstein distance of two spectral densities over that of the exact one to a matrix of zeros.

    The distance W₁ is the mean |λ̂_i − λ_i| over all P eigenvalues in order; 1 is as far as knowing nothing.
    """
    measures = [each.double().numpy() for each in (found.nodes, exact.nodes, found.weights, exact.weights)]
    scale = float(exact.weights @ exact.nodes.abs())
    return float(wasserstein_distance(*measures)) / scale if scale else math.nan


def matrix_error(found: SymmetricForm, exact: LowRankForm) -> float:
    """Return ‖M − H‖_F / ‖H‖_F from ‖M‖² − 2⟨M, H⟩ + ‖H‖², with ⟨M, H⟩ = Σ_i λ_i q_iᵀ M q_i.

    The difference of squares resolves errors down to about 1e-7, near the root of the rounding of 1.
    """
    inner = _inner_product(found, exact)
    squared = exact.spectrum().squared_norm
    difference = found.spectrum().squared_norm - 2 * inner + squared
    return math.sqrt(max(difference, 0.0) / squared) if squared else math.nan


def _inner_product(found: SymmetricForm, exact: LowRankForm) -> float:
    """Return ⟨M, H⟩; of a low rank s, V with the background b it is Σ_ij λ_i (s_j − b)(q_iᵀ v_j)² + b Σ_i λ_i."""
    inner = 0.0
    parts = (torch.split(each, _VECTORS_AT_ONCE, dim=-1) for each in (exact.values, exact.vectors))
    for values, vectors in zip(*parts, strict=True):
        if isinstance(found, LowRankForm):
            shares = (found.vectors.T @ vectors).square()
            along = (found.values - found.background) @ shares + found.background
        else:
            along = (vectors * found.applied(vectors)).sum(0)
        inner += float(values @ along)
    return inner


def trace_error(found: float, exact: Spectrum) -> float:
    """Return |tr M − tr H| / Σ |λ_i|: traces near 0, where signs cancel, do not blow it up."""
    scale = float((exact.values.abs() * exact.counts).sum())
    return abs(found - exact.trace) / scale if scale else math.nan


def cosine(first: torch.Tensor, second: torch.Tensor) -> float:
    """Return the cosine of the angle between two directions; NaN where one is 0 or not finite."""
    lengths = float(first.norm() * second.norm())
    return float(first @ second) / lengths if lengths else math.nan
