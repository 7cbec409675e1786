"""What is known of the exact Hessian of a batch, and how far what a method finds is from it."""

import math
from dataclasses import dataclass
from functools import cached_property

import torch

from secondorder.curvature.eigenpair_certificate import PairCertificate
from secondorder.curvature.forms.exact import exact_form
from secondorder.curvature.forms.low_rank import LowRankForm
from secondorder.curvature.forms.symmetric_form import Spectrum, SymmetricForm
from secondorder.errors import CapabilityError
from secondorder.validation.approximation_methods import Batch, Estimate, density_of, ends, extreme_pairs
from secondorder.validation.spectral_measures import (
    cosine,
    density_distance,
    extreme_error,
    leading_gap,
    matrix_error,
    subspace_angle,
    trace_error,
)

MEASURES = (
    "largest_error",
    "negative_error",
    "subspace_angle",
    "density_distance",
    "matrix_error",
    "trace_error",
    "direction_cosine",
)

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
        complete: Whether all eigenvalues that are not 0 are known.
        gradient: The batch's gradient, shape [P].
        judgement: What approximations are judged by.
    """

    form: LowRankForm
    certificate: PairCertificate
    complete: bool
    gradient: torch.Tensor
    judgement: Judgement

    @classmethod
    def of(cls, batch: Batch, judgement: Judgement) -> "Truth":
        """Return all of the Hessian where the closed form can, and otherwise its extreme pairs by ARPACK.

        The pairs come from products that no method that is judged takes.

        Raises:
            CapabilityError: The closed form cannot, and a pair has not converged.
        """
        try:
            form, complete = exact_form(*batch.parts), True
        except CapabilityError as error:
            form, complete = _extreme_pairs(batch, judgement, error), False
        certificate = batch.certificate_of(ends(form, judgement.pairs))
        return cls(form, certificate, complete, batch.gradient(), judgement)

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
            own = found.form.spectrum()
            measures["largest_error"] = extreme_error(own, self.spectrum, pairs, largest=True)
            measures["negative_error"] = extreme_error(own, self.spectrum, pairs, largest=False)
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
