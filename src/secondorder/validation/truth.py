"""What is known of the exact Hessian of a batch, and how far what a method finds is from it."""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import torch

from secondorder.curvature.eigenbasis import Eigenbasis
from secondorder.curvature.eigenpair_certificate import PairCertificate
from secondorder.curvature.forms.exact import exact_form
from secondorder.curvature.forms.low_rank import LowRankForm
from secondorder.curvature.forms.symmetric_form import Spectrum, SymmetricForm
from secondorder.errors import CapabilityError, ResultError
from secondorder.validation.approximation_methods import Batch, Estimate, density_of, ends, extreme_pairs
from secondorder.validation.spectral_measures import (
    cosine,
    density_distance,
    extreme_error,
    extreme_values,
    leading_error,
    leading_gap,
    matrix_error,
    subspace_angle,
    trace_error,
)

End = Literal["largest", "most negative"]
ENDS: tuple[End, ...] = ("largest", "most negative")

MEASURES = (
    "leading_error",
    "largest_error",
    "negative_error",
    "subspace_angle",
    "density_distance",
    "matrix_error",
    "trace_error",
    "direction_cosine",
)

CERTIFIED_PRODUCT = 1e-10
"""Largest relative error of a product by the exact Hessian, of which nothing is judged by one that is wrong."""

# Relative to the largest |λ|: what is nearer to each other, rounding mixes.
_GAP = 1e-9


@dataclass(frozen=True)
class Judgement:
    """What approximations are judged by.

    Attributes:
        pairs: Eigenpairs at each end that are compared.
        damping: μ of the Newton direction −(|M| + μ)⁻¹ g.
        products: Products after which eigenpairs that are iterated for count as not converged.
    """

    pairs: int
    damping: float
    products: int


@dataclass(frozen=True)
class Truth:
    """The exact Hessian of a batch.

    Attributes:
        form: The Hessian, or its extreme eigenpairs alone.
        certificate: Of the extreme pairs.
        error: ‖M z − H z‖ / ‖H z‖ for a random z, M what ``form`` says, by double backward, in which every pair has
            its part; NaN where extreme ones alone are known.
        complete: Whether all eigenvalues that are not 0 are known.
        gradient: The batch's gradient, shape [P].
        judgement: What approximations are judged by.
    """

    form: LowRankForm
    certificate: PairCertificate
    error: float
    complete: bool
    gradient: torch.Tensor
    judgement: Judgement

    @classmethod
    def of(cls, batch: Batch, judgement: Judgement) -> "Truth":
        """Return all of the Hessian where the closed form can, and otherwise its extreme pairs by ARPACK.

        The pairs come from products that no method that is judged takes.

        Raises:
            CapabilityError: The closed form cannot, and a pair has not converged.
            ResultError: What the closed form gives is not the Hessian.
        """
        try:
            form, complete = exact_form(*batch.parts), True
        except CapabilityError as error:
            form, complete = _extreme_pairs(batch, judgement, error), False
        certificate = batch.certificate_of(ends(form, judgement.pairs))
        wrong = _product_error(batch, form) if complete else math.nan
        if wrong > CERTIFIED_PRODUCT:
            raise ResultError(
                f"the exact Hessian of a batch of {len(batch.inputs)} differs from double backward by {wrong:.0e} of a "
                f"product, allowed is {CERTIFIED_PRODUCT:g}; nothing can be judged by it, repair the closed form"
            )
        return cls(form, certificate, wrong, complete, batch.gradient(), judgement)

    @cached_property
    def spectrum(self) -> Spectrum:
        """All eigenvalues, or the extreme ones among zeros."""
        return self.form.spectrum()

    @cached_property
    def _leading(self) -> torch.Tensor | None:
        return _leading_vectors(self.form, self.judgement.pairs)

    @cached_property
    def _direction(self) -> torch.Tensor:
        return self.form.direction(self.gradient, self.judgement.damping)

    def measures(self, found: Estimate) -> dict[str, float]:
        """Return ``MEASURES`` of an estimate, NaN for what it does not give or is not known here."""
        measures = dict.fromkeys(MEASURES, math.nan)
        pairs = self.judgement.pairs
        if found.form is not None:
            measures["leading_error"] = leading_error(found.form.spectrum(), self.spectrum)
            for name, end in zip(("largest_error", "negative_error"), ENDS, strict=True):
                exact = extreme_values(self.spectrum, pairs, largest=end == "largest")
                measures[name] = extreme_error(found_values(found, end, pairs), exact)
            leading = _leading_vectors(found.form, pairs)
            if leading is not None and self._leading is not None:
                measures["subspace_angle"] = subspace_angle(self._leading, leading)
        if not self.complete:
            return measures
        measures["trace_error"] = trace_error(found.trace, self.spectrum)
        if found.density is not None:
            measures["density_distance"] = density_distance(found.density, density_of(self.spectrum))
        if found.form is not None:
            direction = found.form.direction(self.gradient, self.judgement.damping)
            measures["matrix_error"] = matrix_error(found.form, self.form)
            measures["direction_cosine"] = cosine(direction, self._direction)
        return measures


def found_values(found: Estimate, end: End, count: int) -> torch.Tensor:
    """Return the ``count`` eigenvalues that an estimate gives at one end, the outermost first; NaN for those it lacks.

    Args:
        found: The estimate, with a matrix.
        end: Which end.
        count: k.
    """
    if found.form is None or found.partial:
        given = claimed_positions(found.claimed, end, count)
        values = torch.full((count,), math.nan, dtype=torch.float64)
        if found.claimed is not None:
            values[: len(given)] = found.claimed.values[given].double()
        return values
    return extreme_values(found.form.spectrum(), count, largest=end == "largest")


def claimed_positions(claimed: Eigenbasis | None, end: End, count: int) -> torch.Tensor:
    """Return where the claimed pairs of one end are, the outermost first, ``count`` at most.

    Those above 0 are of the one end and those below of the other, so that few pairs do not count for both.
    """
    if claimed is None:
        return torch.empty(0, dtype=torch.int64)
    outward = claimed.values if end == "largest" else -claimed.values
    order = outward.argsort(descending=True)
    return order[outward[order] > 0][:count]


def _product_error(batch: Batch, form: LowRankForm) -> float:
    generator = torch.Generator().manual_seed(batch.seed)
    vector = torch.randn(batch.size, generator=generator, dtype=torch.float64).to(batch.inputs)
    image = batch.independent_product(vector)
    difference = float((form.applied(vector[:, None])[:, 0] - image).norm())
    return difference / (float(image.norm()) or 1.0)


def _extreme_pairs(batch: Batch, judgement: Judgement, error: CapabilityError) -> LowRankForm:
    # One more than is compared, so that it is known whether the leading ones are set apart.
    pairs = min(judgement.pairs + 1, batch.size - 1)
    found = extreme_pairs(batch.products("forward_over_reverse"), batch.size, pairs, judgement.products)
    if not found.converged:
        raise CapabilityError(
            f"there is no exact Hessian to compare with: {error}; and an eigenpair has not converged within "
            f"{judgement.products} products, so raise curvature.approximations.products"
        ) from error
    return LowRankForm(found.values, found.vectors)


def _leading_vectors(form: SymmetricForm, count: int) -> torch.Tensor | None:
    """Return the eigenvectors of largest |λ|; None where the next one is as large, so that any of several would do."""
    if leading_gap(form.spectrum(), count) <= _GAP:
        return None
    return form.leading(count).vectors
