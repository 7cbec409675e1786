"""The methods that are judged against the exact Hessian, each with what it is given and what it leaves."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import nn

from secondorder.curvature.eigenbasis import Eigenbasis
from secondorder.curvature.eigenpair_certificate import PairCertificate, certify
from secondorder.curvature.flat_vectors import flattened
from secondorder.curvature.forms.diagonal import DiagonalForm
from secondorder.curvature.forms.exact import exact_form, layer_blocks_form, subsampled_form
from secondorder.curvature.forms.fisher import fisher_form
from secondorder.curvature.forms.kronecker_factored import ekfac_form, kfac_form
from secondorder.curvature.forms.limited_memory import gradient_descent_pairs, limited_memory_form
from secondorder.curvature.forms.low_rank import LowRankForm
from secondorder.curvature.forms.reduced import diagonal_form, leading_form
from secondorder.curvature.forms.symmetric_form import Spectrum, SymmetricForm
from secondorder.curvature.hessian_diagonal import hutchinson_diagonal, random_signs
from secondorder.curvature.hessian_vector_products import HessianVectorProducts, MethodName
from secondorder.curvature.lanczos import lanczos
from secondorder.curvature.output_cotangents import FisherType
from secondorder.curvature.power_iteration import power_iteration
from secondorder.curvature.products import double_backward
from secondorder.curvature.spectral_density import SpectralDensity, lanczos_quadrature
from secondorder.curvature.trace_estimate import hutchinson_trace
from secondorder.errors import CapabilityError
from secondorder.problems.problem import Loss
from secondorder.validation.eigensolvers import FoundPairs, Product, largest_pairs
from secondorder.validation.library_products import curvlinops_products

CERTIFIED = 1e-12
"""Largest residual, relative to the largest |eigenvalue|, of an eigenpair that counts as exact."""

_TOLERANCE = 1e-12
_ARPACK_VECTORS = 30
# Enough for a step length, which needs no digits.
_STEP_PRODUCTS = 20
# Of the reciprocal of the largest curvature: steps that are short enough to descend, and long enough to be seen.
_STEP = 0.5


@dataclass(frozen=True)
class Batch:
    """What a Hessian is of.

    Attributes:
        model: The network at a moment of its training, float64, in evaluation mode.
        loss: Maps outputs and targets to the mean over the samples.
        inputs: Inputs, batch first.
        targets: Targets.
        seed: Of what methods draw at random, its own for each Hessian.
    """

    model: nn.Module
    loss: Loss
    inputs: torch.Tensor
    targets: torch.Tensor
    seed: int = 0

    @property
    def parts(self) -> tuple[nn.Module, Loss, torch.Tensor, torch.Tensor]:
        """Model, loss, inputs and targets, as what makes matrices takes them."""
        return self.model, self.loss, self.inputs, self.targets

    @property
    def parameters(self) -> list[nn.Parameter]:
        """The trainable parameters."""
        return [parameter for parameter in self.model.parameters() if parameter.requires_grad]

    @property
    def size(self) -> int:
        """P."""
        return sum(parameter.numel() for parameter in self.parameters)

    def gradient(self) -> torch.Tensor:
        """Return the gradient of the loss, shape [P]."""
        return flattened(torch.autograd.grad(self._value(), self.parameters, materialize_grads=True))

    def products(self, method: MethodName = "r_operator") -> HessianVectorProducts:
        """Return products with the Hessian, unchecked, because it is they that are judged."""
        return HessianVectorProducts(*self.parts, method, check=False)

    def certificate_of(self, pairs: Eigenbasis) -> PairCertificate:
        """Return the certificate of pairs that are claimed to be those of H, by double backward."""
        return certify(pairs.values, pairs.vectors, self.independent_product, CERTIFIED)

    def independent_product(self, vector: torch.Tensor) -> torch.Tensor:
        """Return H v, shape [P], by double backward."""
        return double_backward(self._value, self.parameters, vector)

    def _value(self) -> torch.Tensor:
        return self.loss(self.model(self.inputs), self.targets)


@dataclass(frozen=True)
class Estimate:
    """What a method finds out of a Hessian.

    Attributes:
        form: A whole matrix; None where it finds numbers alone.
        density: The distribution of its eigenvalues; None where it has none.
        trace: The trace; NaN where it has none.
        claimed: Eigenpairs that are claimed to be those of the Hessian itself; None for none.
        partial: Whether the claimed pairs are all that is found, so that its other eigenvalues are not 0 but unknown.
        products: Products with H that were spent; NaN where they are not what the work grows with.
        converged: Whether an iteration reached its tolerance; True for what does not iterate.
        refusal: Why the method cannot treat the network; empty where it can.
    """

    form: SymmetricForm | None = None
    density: SpectralDensity | None = None
    trace: float = math.nan
    claimed: Eigenbasis | None = None
    partial: bool = False
    products: float = math.nan
    converged: bool = True
    refusal: str = ""

    @classmethod
    def of(cls, form: SymmetricForm, *, claimed: Eigenbasis | None = None) -> "Estimate":
        """Return the estimate that a matrix is."""
        spectrum = form.spectrum()
        return cls(form, density_of(spectrum), spectrum.trace, claimed)

    @classmethod
    def of_pairs(cls, form: LowRankForm, claimed: Eigenbasis | None, products: int, *, converged: bool) -> "Estimate":
        """Return the estimate that a few pairs are, and the matrix that has no others."""
        return replace(cls.of(form, claimed=claimed), partial=True, products=products, converged=converged)


@dataclass(frozen=True)
class Method:
    """One way to find out about a Hessian.

    Attributes:
        name: Its name in tables.
        kind: ``exact``, ``iterative``, ``stochastic`` or ``structured``.
        find: Makes of a batch what it finds.
        effort: How much it may do; NaN where there is nothing to choose.
        unit: What the effort counts.
    """

    name: str
    kind: str
    find: Callable[[Batch], Estimate]
    effort: float = math.nan
    unit: str = ""

    def estimate(self, batch: Batch) -> Estimate:
        """Return what the method finds; nothing but a refusal where it cannot treat the network."""
        try:
            return self.find(batch)
        except CapabilityError as error:
            return Estimate(converged=False, refusal=str(error))


def density_of(spectrum: Spectrum) -> SpectralDensity:
    """Return the distribution of eigenvalues that are all known."""
    return SpectralDensity(spectrum.values, spectrum.counts.to(spectrum.values) / spectrum.counts.sum())


def approximation_methods(settings: Mapping[str, Any]) -> list[Method]:
    """Return all methods, in the order of tables.

    Args:
        settings: The section ``curvature.approximations`` of the configuration.
    """
    pairs, products = settings["pairs"], settings["products"]
    methods = [Method("exact", "exact", partial(_exact, pairs)), Method("no curvature", "structured", _nothing)]
    for steps in settings["lanczos_steps"]:
        methods.append(Method("power iteration", "iterative", partial(_power_iteration, steps), steps, "products"))
    for steps in settings["lanczos_steps"]:
        methods.append(Method("Lanczos", "iterative", partial(_lanczos, steps, pairs), steps, "products"))
    for name, make in _ARPACK_PRODUCTS.items():
        methods.append(Method(f"ARPACK, {name}", "iterative", partial(_arpack, make, pairs, products)))
    for probes in settings["probes"]:
        density = partial(_density, probes, settings["quadrature_steps"])
        methods.append(Method("Lanczos quadrature", "stochastic", density, probes, "probes"))
        methods.append(Method("Hutchinson trace", "stochastic", partial(_trace, probes), probes, "probes"))
        diagonal = partial(_diagonal_estimate, probes)
        methods.append(Method("Hutchinson diagonal", "stochastic", diagonal, probes, "probes"))
    for share in settings["fractions"]:
        methods.append(Method("sub-sampled Hessian", "stochastic", partial(_subsampled, share), share, "of the batch"))
    for draws in settings["draws"]:
        methods.append(Method("Fisher, sampled", "stochastic", partial(_fisher, "mc", draws), draws, "draws"))
    methods.append(Method("Gauss-Newton", "structured", partial(_fisher, "type2", 1)))
    methods.append(Method("Fisher, empirical", "structured", partial(_fisher, "empirical", 1)))
    methods.append(Method("layer blocks", "structured", _layer_blocks))
    methods.append(Method("K-FAC", "structured", _kfac))
    methods.append(Method("EKFAC", "structured", _ekfac))
    methods.append(Method("diagonal", "structured", _diagonal))
    for rank in settings["ranks"]:
        methods.append(Method("low rank", "structured", partial(_low_rank, rank), rank, "pairs"))
    for history in settings["histories"]:
        methods.append(Method("L-BFGS", "structured", partial(_limited_memory, history), history, "pairs"))
    return methods


def ends(form: LowRankForm, pairs: int) -> Eigenbasis:
    """Return the ``pairs`` lowest and highest eigenpairs that a matrix was made of, or all where there are fewer."""
    chosen = _end_positions(form.values, pairs)
    values = form.values[chosen]
    return Eigenbasis(values, form.vectors[:, chosen], torch.zeros_like(values))


def _end_positions(values: torch.Tensor, pairs: int) -> torch.Tensor:
    order = values.argsort()
    return order if len(order) <= 2 * pairs else torch.cat([order[:pairs], order[-pairs:]])


def _start(batch: Batch) -> torch.Tensor:
    generator = torch.Generator().manual_seed(batch.seed)
    return torch.randn(batch.size, generator=generator, dtype=batch.inputs.dtype)


def _signs(batch: Batch, probes: int) -> list[torch.Tensor]:
    like = batch.inputs.new_empty(batch.size)
    with torch.random.fork_rng(devices=[like.device] if like.device.type == "cuda" else []):
        torch.manual_seed(batch.seed)
        return [random_signs(like) for _ in range(probes)]


def _exact(pairs: int, batch: Batch) -> Estimate:
    form = exact_form(*batch.parts)
    return Estimate.of(form, claimed=ends(form, pairs))


def _nothing(batch: Batch) -> Estimate:
    """Return a matrix of zeros, whose Newton direction is that of gradient descent."""
    like = batch.inputs.new_empty(0)
    return Estimate.of(LowRankForm(like, like.reshape(0).new_empty(batch.size, 0)))


def _power_iteration(steps: int, batch: Batch) -> Estimate:
    found = power_iteration(batch.products(), _start(batch), steps, _TOLERANCE)
    form = LowRankForm(found.vector.new_tensor([found.value]), found.vector[:, None])
    return Estimate.of_pairs(form, ends(form, 1), found.products, converged=found.converged)


def _lanczos(steps: int, pairs: int, batch: Batch) -> Estimate:
    values, vectors, residuals = lanczos(batch.products(), _start(batch), steps).eigenpairs()
    form = LowRankForm(values, vectors)
    extreme = residuals[_end_positions(values, pairs)]
    converged = bool(extreme.max() <= _TOLERANCE * values.abs().max())
    return Estimate.of_pairs(form, ends(form, pairs), len(values), converged=converged)


_ARPACK_PRODUCTS: dict[str, Callable[[Batch], Product]] = {
    "R-operator": lambda batch: batch.products("r_operator"),
    "complex step": lambda batch: batch.products("complex_step"),
    "curvlinops": lambda batch: curvlinops_products(*batch.parts),
}


def extreme_pairs(product: Product, size: int, pairs: int, products: int) -> FoundPairs:
    """Return the ``pairs`` most negative and the largest eigenpairs by ARPACK, to rounding.

    Args:
        product: v ↦ H v.
        size: P.
        pairs: How many at each end.
        products: Products after which those of one end count as not converged.

    Raises:
        InputError: No pair is asked for, or as many as P or more.
    """
    krylov = max(_ARPACK_VECTORS, 2 * pairs + 1)
    low, high = (largest_pairs(product, size, pairs, end, _TOLERANCE, krylov, products) for end in ("SA", "LA"))
    return FoundPairs(
        torch.cat([low.values, high.values]),
        torch.cat([low.vectors, high.vectors], dim=1),
        low.products + high.products,
        low.converged and high.converged,
    )


def _arpack(make: Callable[[Batch], Product], pairs: int, products: int, batch: Batch) -> Estimate:
    found = extreme_pairs(make(batch), batch.size, pairs, products)
    known = ~found.values.isnan()
    form = LowRankForm(found.values[known], found.vectors[:, known])
    claimed = ends(form, pairs) if known.any() else None
    return Estimate.of_pairs(form, claimed, found.products, converged=found.converged)


def _density(probes: int, steps: int, batch: Batch) -> Estimate:
    density = lanczos_quadrature(batch.products(), torch.stack(_signs(batch, probes)), steps)
    return Estimate(density=density, trace=density.moment(1) * batch.size, products=len(density.nodes))


def _trace(probes: int, batch: Batch) -> Estimate:
    trace = hutchinson_trace(batch.products(), _signs(batch, probes)).trace
    return Estimate(trace=trace, products=probes)


def _diagonal_estimate(probes: int, batch: Batch) -> Estimate:
    products = batch.products()
    estimates = [hutchinson_diagonal(products, signs) for signs in _signs(batch, probes)]
    return replace(Estimate.of(DiagonalForm(torch.stack(estimates).mean(0))), products=probes)


def _subsampled(share: float, batch: Batch) -> Estimate:
    # Drawn, because the first samples of a batch are the same for every network.
    generator = torch.Generator().manual_seed(batch.seed)
    order = torch.randperm(len(batch.inputs), generator=generator)
    return Estimate.of(subsampled_form(batch.model, batch.loss, batch.inputs[order], batch.targets[order], share))


def _fisher(kind: FisherType, draws: int, batch: Batch) -> Estimate:
    return Estimate.of(fisher_form(*batch.parts, kind, draws, batch.seed))


def _layer_blocks(batch: Batch) -> Estimate:
    return Estimate.of(layer_blocks_form(*batch.parts))


def _kfac(batch: Batch) -> Estimate:
    return Estimate.of(kfac_form(*batch.parts))


def _ekfac(batch: Batch) -> Estimate:
    return Estimate.of(ekfac_form(*batch.parts))


def _diagonal(batch: Batch) -> Estimate:
    return Estimate.of(diagonal_form(exact_form(*batch.parts)))


def _low_rank(rank: int, batch: Batch) -> Estimate:
    form = exact_form(*batch.parts)
    return Estimate.of(leading_form(form, min(rank, form.size)))


def _limited_memory(history: int, batch: Batch) -> Estimate:
    largest = power_iteration(batch.products(), _start(batch), _STEP_PRODUCTS, _TOLERANCE)
    pairs = gradient_descent_pairs(*batch.parts, history, _STEP / (abs(largest.value) or 1.0))
    return Estimate.of(limited_memory_form(pairs))
