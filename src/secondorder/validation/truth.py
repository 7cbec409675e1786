"""What is known of the exact Hessian of a batch, and how far what a method finds is from it."""

import math
from dataclasses import dataclass
from functools import cached_property

import torch

from secondorder.curvature.forms.exact import exact_form
from secondorder.curvature.forms.low_rank import LowRankForm
from secondorder.curvature.forms.symmetric_form import Spectrum
from secondorder.errors import CapabilityError
from secondorder.validation.approximation_methods import Batch, Estimate, density_of, extreme_pairs
from secondorder.validation.spectral_measures import (
    cosine,
    density_distance,
    extreme_error,
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
        complete: Whether all eigenvalues that are not 0 are known.
        gradient: The batch's gradient, shape [P].
        judgement: What approximations are judged by.
    """

    form: LowRankForm
    complete: bool
    gradient: torch.Tensor
    judgement: Judgement

    @classmethod
    def of(cls, batch: Batch, judgement: Judgement) -> "Truth":
        """Return all of the Hessian where the closed form can, and otherwise its extreme pairs by ARPACK.

        Raises:
            CapabilityError: The closed form cannot, and a pair has not converged.
        """
        try:
            return cls(exact_form(*batch.parts), complete=True, gradient=batch.gradient(), judgement=judgement)
        except CapabilityError as error:
            found = extreme_pairs(batch.products(), batch.size, judgement.pairs, judgement.products)
            if not found.converged:
                raise CapabilityError(
                    f"there is no exact Hessian to compare with: {error}; and an eigenpair has not converged within "
                    f"{judgement.products} products, so raise curvature.approximations.products"
                ) from error
            form = LowRankForm(found.values, found.vectors)
            return cls(form, complete=False, gradient=batch.gradient(), judgement=judgement)

    @cached_property
    def spectrum(self) -> Spectrum:
        """All eigenvalues, or the extreme ones among zeros."""
        return self.form.spectrum()

    @cached_property
    def _leading(self) -> torch.Tensor:
        return self.form.leading(self.judgement.pairs).vectors

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
            measures["subspace_angle"] = subspace_angle(self._leading, found.form.leading(pairs).vectors)
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
