"""The exact stochastic Hessian in closed form, its eigenvalues and its Newton direction.

Derived in docs/methods.md, section 1 (a reading of Mehouachi & Kasmi 2021, whose abstract claims such a form).
"""

import math
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import ClassVar, Literal

import torch
from torch import nn

from secondorder.curvature.activation_hessian import (
    ActivationHessian,
    CurvatureName,
    LossFunction,
    activation_hessian,
    check_loss,
    explained_derivatives,
)
from secondorder.curvature.adjustments import AdjustmentName, divide, divisor
from secondorder.curvature.coordinates import LayerCoordinates, curvature_in_coordinates
from secondorder.curvature.eigenpair_certificate import PairCertificate, certify
from secondorder.curvature.gauss_newton_products import gauss_newton_product
from secondorder.curvature.layers import Network, SameFunction, take_apart
from secondorder.curvature.parameter_vectors import assembled, direct_part, layer_matrix
from secondorder.curvature.products import double_backward
from secondorder.curvature.symmetric import symmetric_eigenvalues
from secondorder.curvature.verification import check_samples_apart, check_size, rounding_of_a_product, suspicion
from secondorder.errors import CapabilityError, ConfigurationError, InputError

CouplingName = Literal["full", "layerwise"]
LARGEST_RANK = 12_000
_CHECK_SEED = 20210403
_CHECK_TOLERANCE = {torch.float64: 1e-7, torch.float32: 1e-3}
# Elsewhere than on the CPU convolutions may multiply in TF32, with 10 bits.
_DEVICE_TOLERANCE = {torch.float64: 1e-7, torch.float32: 2e-2}


class ClosedFormHessians:
    """The Hessians of G groups of samples, H = Cᵀ K C each, and what follows from them.

    Use :class:`ExactHessian` for one Hessian of a batch and :class:`PerSampleHessians` for those of its samples.

    Args:
        model: An unmodified module of linear and convolutional layers with element-wise activations, pooling,
            flattening, residual additions and normalisation in evaluation mode. What stands behind a ``detach`` or in
            a ``torch.no_grad`` block is a constant, as it is for the gradient.
        loss_fn: Maps outputs and targets to a 0-dimensional tensor: a sum over the samples or a mean, which may be
            weighted by class, of any function that is twice differentiable by the outputs.
        inputs: Inputs, batch first.
        targets: Targets, batch first.
        coupling: ``full``, or ``layerwise`` for the diagonal blocks of the layers (weight and bias together) alone.
        curvature: ``hessian``, or ``ggn`` for the generalized Gauss-Newton matrix Jᵀ (∇²_z L) J.
        same_function: Context in which every evaluation of the model is the same function, where dropout is in training
            mode.
        network: The model, where it has been taken apart already; the context is then the network's own.
        check: Check the loss, and compare with a double-backward product; an optimizer does so at its first step.

    Raises:
        InputError: Inputs, targets, loss and parameters do not fit each other.
        CapabilityError: The model has a layer or uses a parameter in a way that the closed form does not know, with the
            module's name; or the closed form differs from a double-backward product.
        ConfigurationError: There is no such coupling or curvature.
    """

    _per_sample: ClassVar[bool]

    def __init__(
        self,
        model: nn.Module,
        loss_fn: LossFunction,
        inputs: torch.Tensor,
        targets: torch.Tensor,
        coupling: CouplingName = "full",
        curvature: CurvatureName = "hessian",
        *,
        same_function: SameFunction | None = None,
        network: Network | None = None,
        check: bool = True,
    ) -> None:
        for name, value, known in (
            ("coupling", coupling, ("full", "layerwise")),
            ("curvature", curvature, ("hessian", "ggn")),
        ):
            if value not in known:
                raise ConfigurationError(f"{name} is {value!r}; it must be {' or '.join(known)}")
        self._network = network or take_apart(model, inputs, same_function)
        if check:
            check_loss(self._network, loss_fn, inputs, targets)
        self._loss_fn, self._inputs, self._targets = loss_fn, inputs, targets
        self._coupling, self._curvature = coupling, curvature
        check_size(self._network, len(inputs), per_sample=self._per_sample)
        self._parts = self._second_derivatives()
        if check:
            self._check()

    def _second_derivatives(self) -> ActivationHessian:
        layerwise = self._coupling == "layerwise"
        # Where no weight is used twice, a layer's own block does not know how its input moves.
        used_once = all(layer.uses == 1 for layer in self._network.activation_layers)
        parts = activation_hessian(
            self._network,
            self._loss_fn,
            self._inputs,
            self._targets,
            per_sample=self._per_sample,
            curvature=self._curvature,
            coupled=not (layerwise and used_once),
        )
        if layerwise:
            _decouple(parts)
        return parts

    @property
    def parameter_count(self) -> int:
        """P, the number of trainable parameter entries."""
        return self._network.parameter_count

    @property
    def rank(self) -> int:
        """r, the number of orthonormal coordinates of a Hessian: all but r of its P eigenvalues are 0."""
        return sum(layer.size for layer in self._layers) + self._parts.direct.shape[1]

    @cached_property
    def _layers(self) -> list[LayerCoordinates]:
        return [LayerCoordinates.of(activations) for activations in self._parts.layers]

    @cached_property
    def _curvature_matrix(self) -> torch.Tensor:
        """K in orthonormal coordinates, shape [G, r, r]."""
        if self.rank > LARGEST_RANK:
            raise CapabilityError(
                f"the Hessian has {self.rank} coordinates, and a matrix of them is formed up to {LARGEST_RANK}; use "
                "fewer samples, or matvec with an iterative eigensolver"
            )
        return curvature_in_coordinates(self._parts, self._layers)

    @cached_property
    def _spectrum(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Eigenvalues [G, r] in ascending order, and eigenvectors in coordinates [G, r, r]."""
        if self._coupling == "full":
            values, vectors = torch.linalg.eigh(self._curvature_matrix)
            return values, vectors
        matrix = self._curvature_matrix
        values, vectors = matrix.new_zeros(matrix.shape[:2]), torch.zeros_like(matrix)
        for block in self._blocks():
            values[:, block], vectors[:, block, block] = torch.linalg.eigh(matrix[:, block, block])
        order = values.argsort(dim=1)
        return values.gather(1, order), vectors.gather(2, order[:, None, :].expand_as(vectors))

    @cached_property
    def _values(self) -> torch.Tensor:
        if "_spectrum" in self.__dict__:
            return self._spectrum[0]
        if self._coupling == "full":
            return symmetric_eigenvalues(self._curvature_matrix)
        blocks = [symmetric_eigenvalues(self._curvature_matrix[:, block, block]) for block in self._blocks()]
        return torch.cat(blocks, dim=1).sort(dim=1).values

    def _blocks(self) -> Iterator[slice]:
        """Yield the coordinates of each layer."""
        start = 0
        sizes = [layer.size for layer in self._layers] + [layer.size for layer in self._network.direct_layers]
        for size in sizes:
            yield slice(start, start + size)
            start += size

    def _coordinates_of(self, vectors: torch.Tensor) -> torch.Tensor:
        """Return the coordinates, shape [G, …, r], of vectors of shape [G, …, P]."""
        parts = [layer.coordinates_of(layer_matrix(vectors, layer.layer)) for layer in self._layers]
        return torch.cat([*parts, direct_part(vectors, self._network.direct_layers)], dim=-1)

    def _vectors_of(self, coordinates: torch.Tensor) -> torch.Tensor:
        """Return the vectors, shape [G, …, P], of coordinates of shape [G, …, r]."""
        pieces = torch.split(
            coordinates, [*(layer.size for layer in self._layers), self._parts.direct.shape[1]], dim=-1
        )
        matrices = [layer.matrix_of(piece) for layer, piece in zip(self._layers, pieces, strict=False)]
        return assembled(self._network, matrices, pieces[-1], coordinates)

    def _mean_vector_of(self, coordinates: torch.Tensor) -> torch.Tensor:
        """Return the mean over the groups of :meth:`_vectors_of`, shape [P], without a vector per group."""
        pieces = torch.split(
            coordinates, [*(layer.size for layer in self._layers), self._parts.direct.shape[1]], dim=-1
        )
        matrices = [layer.mean_matrix(piece) for layer, piece in zip(self._layers, pieces, strict=False)]
        return assembled(self._network, matrices, pieces[-1].mean(0), coordinates[0])

    def _own_gradient(self) -> torch.Tensor:
        """Return the gradient of each group in coordinates, shape [G, r]; it lies in their span."""
        parts = [_outer_in_coordinates(layer) for layer in self._layers]
        return torch.cat([*parts, self._parts.direct_gradient], dim=-1)

    def _product(self, vectors: torch.Tensor) -> torch.Tensor:
        """Return Σ_g w_g H_g v from activations alone, H = Cᵀ K C, shape [R, P], for vectors of shape [R, P]."""
        parts = self._parts
        weights = self._group_weights
        matrices = [layer_matrix(vectors, layer.layer) for layer in parts.layers]
        us, vs = [], []
        for layer, matrix in zip(parts.layers, matrices, strict=True):
            us.append(torch.einsum("gsmk,rak->gsrma", layer.inputs, matrix).flatten(-2))
            if layer.coupled:
                features = layer.layer.input_features
                vs.append(torch.einsum("gsma,rak->gsrmk", layer.deltas, matrix[..., :features]).flatten(-2))
        direct = direct_part(vectors, self._network.direct_layers)
        empty = vectors.new_zeros(*parts.within.shape[:2], len(vectors), 0)
        u = torch.cat([*us, empty], dim=-1)
        v = torch.cat([*vs, empty], dim=-1)
        both = torch.cat([u, v], dim=-1)
        width = u.shape[-1]
        by_epsilon = both @ parts.within.mT
        by_probe = u @ parts.within[..., width:]
        moved = torch.cat([by_epsilon, by_probe], dim=-1) + torch.einsum("rp,gpsn->gsrn", direct, parts.mixed)
        moved = moved * weights[:, None, None, None]
        of_direct = torch.einsum("g,gsrn,gpsn->rp", weights, both, parts.mixed)
        of_direct += torch.einsum("g,rp,gpo->ro", weights, direct, parts.direct)
        results = []
        for layer in parts.layers:
            uses = layer.inputs.shape[2]
            along = torch.unflatten(moved[..., slice(*layer.u)], -1, (uses, -1))
            result = torch.einsum("gsrma,gsmk->rak", along, layer.inputs)
            if layer.coupled:
                features = layer.layer.input_features
                across = torch.unflatten(moved[..., slice(*layer.v)], -1, (uses, -1))
                result[..., :features] += torch.einsum("gsma,gsrmk->rak", layer.deltas, across)
            results.append(result)
        return assembled(self._network, results, of_direct, vectors)

    @property
    def _group_weights(self) -> torch.Tensor:
        """Numbers w of their own for each group, so that a product with all of them tells the groups apart."""
        groups = len(self._parts.within)
        like = self._parts.within
        return torch.linspace(0.5, 1.5, groups).to(like) if self._per_sample else like.new_ones(groups)

    def _traces(self) -> torch.Tensor:
        """Return tr H = tr(K C Cᵀ) of each group, shape [G], without coordinates."""
        parts = self._parts
        total = parts.direct.diagonal(dim1=1, dim2=2).sum(1)
        for layer in parts.layers:
            uses, outputs = layer.inputs.shape[2], layer.layer.output_features
            block = parts.within[..., slice(*layer.u), slice(*layer.u)]
            block = block.reshape(*block.shape[:2], uses, outputs, uses, outputs)
            gram = layer.inputs @ layer.inputs.mT
            total = total + torch.einsum("gsmana,gsmn->g", block, gram)
            if layer.coupled and uses > 1:
                # tr(K_uv C_v C_uᵀ): (C_v C_uᵀ) of use n's v and use m's u is h_n' δ_nᵀ over the weight's columns.
                features = layer.layer.input_features
                cross = parts.within[..., slice(*layer.u), slice(*layer.v)]
                cross = cross.reshape(*cross.shape[:2], uses, outputs, uses, features)
                inputs = layer.inputs[..., :features]
                total = total + 2 * torch.einsum("gsmank,gsmk,gsna->g", cross, inputs, layer.deltas)
        return total

    def _independent_product(self, vector: torch.Tensor) -> torch.Tensor:
        """Return Σ_g w_g H_g v, shape [P], for a vector of shape [P], without the closed form."""
        parameters = self._network.parameters

        def outputs() -> torch.Tensor:
            return self._network.outputs(self._inputs)

        with torch.enable_grad(), explained_derivatives():
            if self._curvature == "ggn":
                return gauss_newton_product(outputs, self._loss_of, parameters, vector)
            return double_backward(lambda: self._loss_of(outputs()), parameters, vector)

    def _loss_of(self, outputs: torch.Tensor) -> torch.Tensor:
        """Return Σ_g w_g L_g."""
        if not self._per_sample:
            return self._loss_fn(outputs, self._targets)
        samples = zip(torch.split(outputs, 1), torch.split(self._targets, 1), strict=True)
        return torch.stack([self._loss_fn(output, target) for output, target in samples]) @ self._group_weights

    def _check(self) -> None:
        """Compare one product with double backward; a model the closed form does not describe is refused here."""
        error = self._error_of_a_product()
        if error and not self._network.one_by_one:
            batched = self._parts
            self._network.one_by_one = True
            self._parts = self._second_derivatives()
            # Another loss at the same parameters is no fault of batching: the model is not one function.
            if torch.equal(batched.losses, self._parts.losses):
                error = self._error_of_a_product()
        if error:
            if math.isnan(error):
                raise CapabilityError(
                    "the Hessian has entries that are not finite: the model or the loss has no second derivative here"
                )
            raise CapabilityError(
                f"the closed form of this model's Hessian is wrong: a product differs from double backward by "
                f"{error:.1e} of its length; {suspicion(self._network, self._inputs)}"
            )

    def _error_of_a_product(self) -> float:
        """Return by how much a product differs from double backward, relative to its length; 0 up to rounding."""
        generator = torch.Generator().manual_seed(_CHECK_SEED)
        like = self._parts.within
        vector = (torch.rand(self.parameter_count, generator=generator) - 0.5).to(like)
        tolerance = _CHECK_TOLERANCE[like.dtype] if like.device.type == "cpu" else _DEVICE_TOLERANCE[like.dtype]
        pieces: Sequence[tuple[torch.Tensor, torch.Tensor | None]] = [(vector, None)]
        if self._coupling == "layerwise":
            # A layer's own block maps a direction within the layer as the whole Hessian does.
            pieces = self._in_single_layers(vector)
        for direction, seen in pieces:
            closed = self._product(direction[None])[0]
            independent = self._independent_product(direction)
            if seen is not None:
                closed, independent = closed[seen], independent[seen]
            error, size = float((closed - independent).norm()), float(independent.norm())
            if error <= tolerance * size:
                continue
            if not error <= rounding_of_a_product(
                self._network, self._loss_fn, self._inputs, self._targets, direction, per_sample=self._per_sample
            ):
                return error / size if size else math.inf
        return 0.0

    def _in_single_layers(self, vector: torch.Tensor) -> Sequence[tuple[torch.Tensor, torch.Tensor]]:
        """Return the vector's part in each layer, and in the parameters that are in no layer, with where it lies."""
        pieces = []
        elsewhere = torch.ones_like(vector, dtype=torch.bool)
        for layer in self._network.layers:
            mask = torch.zeros_like(vector, dtype=torch.bool)
            for start, stop in layer.positions:
                mask[start:stop] = True
            pieces.append((vector * mask, mask))
            elsewhere &= ~mask
        return [*pieces, (vector * elsewhere, elsewhere)] if elsewhere.any() else pieces


class ExactHessian(ClosedFormHessians):
    """The exact Hessian of the loss of one sample or of one mini-batch.

    H = Cᵀ K C. Its nonzero eigenvalues are those of K in orthonormal coordinates of the row space of C; a P × P or
    P × r matrix is formed by :meth:`dense` alone. The closed form is compared with a double-backward product when it is
    made, so a model it does not describe is refused.

    It is made as :class:`ClosedFormHessians` says; parameters that do not require gradients are left out.
    """

    _per_sample = False

    @property
    def loss(self) -> torch.Tensor:
        """The loss, 0-dimensional."""
        return self._parts.losses[0]

    @cached_property
    def gradient(self) -> torch.Tensor:
        """∇L = Σ δ h̃ᵀ, shape [P]."""
        matrices = [torch.einsum("gsma,gsmk->gak", layer.deltas, layer.inputs)[0] for layer in self._parts.layers]
        like = self._parts.direct_gradient[0]
        return assembled(self._network, matrices, like, like)

    def eigenvalues(self) -> torch.Tensor:
        """Return the r eigenvalues in ascending order, shape [r]; the other P − r are 0."""
        values: torch.Tensor = self._values[0]
        return values

    def eigenvectors(self, k: int) -> torch.Tensor:
        """Return orthonormal eigenvectors of the k eigenvalues largest in magnitude, shape [P, k], the largest first.

        Raises:
            InputError: k is not between 1 and r.
        """
        if not 1 <= k <= self.rank:
            raise InputError(f"k is {k}; it must be from 1 to the {self.rank} coordinates")
        values, vectors = self._spectrum
        order = values[0].abs().argsort(descending=True)[:k]
        return self._vectors_of(vectors[:, :, order].mT)[0].mT

    def matvec(self, vector: torch.Tensor) -> torch.Tensor:
        """Return H v, shape [P], for v of shape [P]; it costs about what a Hessian-vector product costs.

        Raises:
            InputError: The vector has another shape.
        """
        return self._product(self._checked_vector(vector)[None])[0]

    def dense(self) -> torch.Tensor:
        """Return H, shape [P, P]."""
        identity = torch.eye(self.parameter_count, dtype=self._parts.within.dtype, device=self._parts.within.device)
        return torch.cat([self._product(rows) for rows in torch.split(identity, 256)])

    def trace(self) -> torch.Tensor:
        """Return tr H, 0-dimensional, from activations alone: it needs no r × r matrix."""
        return self._traces()[0]

    def newton_direction(
        self,
        damping: float,
        adjustment: AdjustmentName = "newton",
        weight_decay: float = 0.0,
        gradient: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Return the direction d = −φ(H)⁻¹ (g + λθ), shape [P].

        In the span of the coordinates H's eigenvalues Λ are adjusted, d = −Q φ(Λ)⁻¹ Qᵀ (g + λθ); outside it H is 0, so
        d = −(g + λθ)⊥ / (λ + μ). Where a divisor is 0 the direction is 0 (the pseudo-inverse).

        Args:
            damping: μ, added to every divisor: it holds the step.
            adjustment: φ; see :mod:`secondorder.curvature.adjustments`.
            weight_decay: λ, the coefficient of the objective's λ/2 ‖θ‖²: it changes the objective.
            gradient: g, shape [P]; the gradient of the batch when absent.
        """
        values, vectors = self._spectrum
        inside = divisor(values[0], adjustment, damping, weight_decay)
        gradient = self.gradient if gradient is None else self._checked_vector(gradient)
        if weight_decay:
            gradient = gradient + weight_decay * self._network.parameter_vector()
        coordinates = self._coordinates_of(gradient[None])[0]
        basis = vectors[0]
        outside = weight_decay + damping
        step = basis @ divide(basis.T @ coordinates, inside, outside)
        if outside == 0:
            return -self._vectors_of(step[None])[0]
        return -(self._vectors_of((step - coordinates / outside)[None])[0] + gradient / outside)

    def certificate(self, k: int = 10, tolerance: float = 1e-12) -> PairCertificate:
        """Return the certificate of the k largest eigenpairs, by products that do not use the closed form.

        Args:
            k: How many pairs, the largest in magnitude first; all where there are fewer.
            tolerance: What the certificate passes with; see :class:`PairCertificate`.

        Raises:
            CapabilityError: The coupling is layerwise, of which there is no independent product.
        """
        if self._coupling != "full":
            raise CapabilityError("a layerwise spectrum has no independent product; certify coupling='full'")
        k = min(k, self.rank)
        vectors = self.eigenvectors(k)
        # Of the same decomposition: another one may order λ and −λ otherwise.
        values = self._spectrum[0][0]
        chosen = values[values.abs().argsort(descending=True)[:k]]
        return certify(chosen, vectors, self._independent_product, tolerance)

    def _checked_vector(self, vector: torch.Tensor) -> torch.Tensor:
        if vector.shape != (self.parameter_count,):
            raise InputError(
                f"the vector has shape {tuple(vector.shape)}; the trainable parameters need ({self.parameter_count},)"
            )
        like = self._parts.within
        if vector.dtype != like.dtype or vector.device != like.device:
            raise InputError(
                f"the vector is of {vector.dtype} on {vector.device} and the Hessian of {like.dtype} on {like.device}"
            )
        return vector


class PerSampleHessians(ClosedFormHessians):
    """The exact Hessians of every sample of a batch, each with the loss of a batch of this sample alone.

    All samples are treated at once, without a loop over them.

    They are made as :class:`ClosedFormHessians` says. The check also looks at each sample's loss and at whether samples
    see each other, and compares the sum of all samples' products.
    """

    _per_sample = True

    def _check(self) -> None:
        self._check_losses()
        check_samples_apart(self._network, self._inputs)
        super()._check()

    def _check_losses(self) -> None:
        wrong = torch.nonzero(~torch.isfinite(self.losses)).flatten().tolist()
        if wrong:
            raise InputError(
                f"the loss of sample {wrong[0]} alone is {self.losses[wrong[0]].item()}; a Hessian needs a finite one: "
                "leave out samples that the loss ignores or weights by 0"
            )

    @property
    def losses(self) -> torch.Tensor:
        """The loss of each sample, shape [B]."""
        return self._parts.losses

    def eigenvalues(self) -> torch.Tensor:
        """Return the eigenvalues of each sample's Hessian in ascending order, shape [B, r]."""
        values: torch.Tensor = self._values
        return values

    def traces(self) -> torch.Tensor:
        """Return the trace of each sample's Hessian, shape [B]."""
        return self._traces()

    def mean_gradient(self) -> torch.Tensor:
        """Return the mean of the samples' gradients, shape [P]."""
        return self._mean_vector_of(self._own_gradient())

    def mean_newton_direction(
        self, damping: float, adjustment: AdjustmentName = "newton", weight_decay: float = 0.0
    ) -> torch.Tensor:
        """Return the mean over the samples of −φ(H_i)⁻¹ (g_i + λθ), shape [P].

        See :meth:`ExactHessian.newton_direction`.
        """
        values, vectors = self._spectrum
        inside = divisor(values, adjustment, damping, weight_decay)
        coordinates = self._own_gradient()
        outside = weight_decay + damping
        decayed = None
        if weight_decay:
            parameters = self._network.parameter_vector()
            decayed = weight_decay * self._coordinates_of(parameters.expand(len(values), -1))
            coordinates = coordinates + decayed
        step = (vectors @ divide((vectors.mT @ coordinates[..., None])[..., 0], inside, outside)[..., None])[..., 0]
        if decayed is None:
            return -self._mean_vector_of(step)
        return -(self._mean_vector_of(step - decayed / outside) + weight_decay * parameters / outside)

    def directional_derivatives(self, damping: float, adjustment: AdjustmentName = "newton") -> torch.Tensor:
        """Return g_iᵀ d_i of each sample's own direction, shape [B]: positive where the direction ascends."""
        values, vectors = self._spectrum
        along = (vectors.mT @ self._own_gradient()[..., None])[..., 0]
        return -(along * divide(along, divisor(values, adjustment, damping), damping)).sum(-1)


def _outer_in_coordinates(layer: LayerCoordinates) -> torch.Tensor:
    """Return Σ δ h̃ᵀ in the layer's coordinates, shape [G, r_l]."""
    activations = layer.activations
    matrix = torch.einsum("gsma,gsmk->gak", activations.deltas, activations.inputs)
    return layer.coordinates_of(matrix)


def _decouple(parts: ActivationHessian) -> None:
    """Leave the diagonal blocks of the layers alone."""
    kept = torch.zeros_like(parts.within[0, 0], dtype=torch.bool)
    for layer in parts.layers:
        kept[slice(*layer.u), slice(*layer.u)] = True
        kept[slice(*layer.u), slice(*layer.v)] = True
    parts.within = parts.within * kept
    parts.mixed = torch.zeros_like(parts.mixed)
    same = torch.zeros_like(parts.direct[0], dtype=torch.bool)
    start = 0
    for direct in parts.network.direct_layers:
        same[start : start + direct.size, start : start + direct.size] = True
        start += direct.size
    parts.direct = parts.direct * same
