"""Newton's method with the exact stochastic Hessian, in four variants.

Source: a reading of Mehouachi & Kasmi 2021 ("Exact Stochastic Second Order Deep Learning", abstract only); the variants
and their closed forms are derived in docs/methods.md, section 1. Damping adapts by the Levenberg-Marquardt rule of
Martens 2010, section 4.1: μ shrinks by 2/3 where the actual decrease is above 3/4 of what the quadratic model predicts,
and grows by 3/2 where it is below 1/4; a step that raises the objective is taken back. Two bounds are this project's
own: μ is not moved beyond 1e-8 and 1e8, nor by a step whose decrease is too small for the objective's last digits.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch

from secondorder.curvature.adjustments import AdjustmentName, divide, divisor
from secondorder.curvature.exact_hessian import ExactHessian, PerSampleHessians
from secondorder.curvature.flat_vectors import flattened
from secondorder.curvature.gauss_newton import (
    OutputJacobian,
    gauss_newton_direction,
    gauss_newton_multiplications,
    output_jacobian,
)
from secondorder.curvature.hessian_vector_products import MethodName
from secondorder.curvature.lanczos import lanczos
from secondorder.curvature.layers import Network, take_apart
from secondorder.curvature.layerwise import check_layerwise, layerwise_direction, layerwise_multiplications
from secondorder.curvature.symmetric import EIGEN_PRICE
from secondorder.curvature.verification import check_jacobian, check_samples_apart
from secondorder.errors import CapabilityError, ConfigurationError
from secondorder.newton.levenberg_marquardt import next_damping, reduction_ratio
from secondorder.newton.quadratic_model import rounding_of
from secondorder.optim.flat_parameters import FlatParameters
from secondorder.optim.objective_products import ObjectiveProducts, objective_products
from secondorder.optim.protocol import StepResult
from secondorder.settings import DeclaredSettings, setting
from secondorder.training.objective import Objective

Variant = Literal["per_sample", "layerwise", "joint_hessian", "joint_gauss_newton"]
LARGEST_PER_SAMPLE_NUMBERS = 5e8
LARGEST_GAUSS_NEWTON_ROWS = 20_000

_ASSEMBLY_PRICE = 1.0
"""Multiplications of the second derivatives in orthonormal coordinates, over r³: at most one matrix product."""


@dataclass(frozen=True)
class Settings(DeclaredSettings):
    """Settings of exact Newton."""

    variant: Variant = setting(
        "joint_gauss_newton",
        "`per_sample`: mean of every sample's own direction, full coupling, dense networks. `layerwise`: the same from "
        "the diagonal blocks of the layers, for weights that a sample uses once. `joint_hessian`: the direction of the "
        "batch's Hessian, by its eigenvalues, or in a Krylov space where it has too many. `joint_gauss_newton`: of its "
        "Gauss-Newton part, for few outputs.",
    )
    adjustment: AdjustmentName = setting(
        "absolute",
        "What a step divides by in each eigendirection: `newton` Λ, `absolute` |Λ|, `positive` max(Λ, 0), `flat` more "
        "than |Λ| where sharp and less where negative. The Gauss-Newton part has no negative Λ and takes Λ.",
    )
    learning_rate: float = setting(1.0, "Length of a step in Newton directions; 1 is the full step.", above=0)
    damping: float = setting(0.1, "μ, added to every divisor: it holds the step; where it adapts, its start.", above=0)
    adapt_damping: bool = setting(
        False,
        "Adapt the damping by the Levenberg-Marquardt rule; made for full steps, because shorter ones always agree "
        "with the quadratic model.",
    )
    weight_decay: float = setting(0.0, "Regularization λ of the objective, λ/2 ‖θ‖² over all parameters.", at_least=0)
    momentum: float = setting(0.0, "Momentum m: v ← m v + d; θ ← θ + η v.", at_least=0, below=1)
    largest_rank: int = setting(
        1000, "`joint_hessian` takes all eigenvalues of up to this many coordinates, and Lanczos beyond.", at_least=1
    )
    krylov_steps: int = setting(20, "Products of `joint_hessian` in the Krylov space, beyond that.", at_least=1)
    product: MethodName = setting(
        "double_backward",
        "Method of the Hessian-vector products, in the Krylov space and where damping adapts; all give the same "
        "numbers up to their error, at different prices.",
    )

    def check(self) -> None:
        """Refuse adjustments that a variant cannot make."""
        if self.variant == "joint_gauss_newton" and self.adjustment == "flat":
            raise ConfigurationError(
                "adjustment is 'flat' and variant 'joint_gauss_newton', which does not know eigenvalues; use 'absolute'"
            )


@dataclass(frozen=True)
class Direction:
    """A direction with what it was computed from.

    Attributes:
        step: d, shape [P].
        loss: The objective's loss, 0-dimensional.
        gradient: Computes the gradient of the objective, shape [P].
        diagnostics: Numbers worth a curve.
        jacobian: J̃ of the batch, for the Gauss-Newton form's own prediction; None for the others.
        products: Those that the direction was computed with, for the prediction; None where it took none.
    """

    step: torch.Tensor
    loss: torch.Tensor
    gradient: Callable[[], torch.Tensor]
    diagnostics: Mapping[str, float | torch.Tensor]
    jacobian: OutputJacobian | None = None
    products: ObjectiveProducts | None = None


class ExactNewton:
    """Exact Newton over ``parameters``.

    Args:
        parameters: The parameters, all that the model trains.
        settings: The settings.
    """

    def __init__(self, parameters: Iterable[torch.nn.Parameter], settings: Settings) -> None:
        self._parameters = FlatParameters(parameters)
        self._settings = settings
        self._damping = settings.damping
        self._velocity: torch.Tensor | None = None
        self._network: Network | None = None
        self._checked = False

    def step(self, objective: Objective, schedule_factor: float) -> StepResult:
        """Take one step; see the protocol."""
        self._parameters.check(objective)
        settings = self._settings
        network = self._network_of(objective)
        found = self._direction(network, objective)
        step = found.step
        if settings.momentum:
            self._velocity = step if self._velocity is None else settings.momentum * self._velocity + step
            step = self._velocity
        step = settings.learning_rate * schedule_factor * step
        diagnostics = {"damping": self._damping, **found.diagnostics}
        if settings.adapt_damping:
            diagnostics |= self._move_and_adapt(objective, found, step)
        else:
            self._parameters.move(step)
        return StepResult(found.loss, diagnostics)

    def state_dict(self) -> dict[str, Any]:
        """Return damping, velocity, and whether the model has been checked."""
        return {"damping": self._damping, "velocity": self._velocity, "checked": self._checked}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over a state."""
        self._damping = state["damping"]
        self._checked = state["checked"]
        velocity = state["velocity"]
        self._velocity = None if velocity is None else velocity.to(self._parameters.device)

    def _network_of(self, objective: Objective) -> Network:
        """Return the objective's network, taken apart and checked at the first step."""
        if self._network is not None and self._network.module is objective.model:
            return replace(self._network, same_function=objective.same_function)
        settings = self._settings
        network = take_apart(
            objective.model,
            objective.inputs,
            objective.same_function,
            dense_only=settings.variant in ("layerwise", "per_sample"),
        )
        if settings.variant in ("per_sample", "layerwise"):
            _refuse_penalty(objective, settings.variant)
        if settings.variant == "per_sample":
            _check_per_sample(network)
        elif settings.variant == "layerwise":
            check_layerwise(network)
        _check_outputs(objective, settings.variant)
        self._network = network
        return network

    def _direction(self, network: Network, objective: Objective) -> Direction:
        functions = {
            "per_sample": self._per_sample,
            "layerwise": self._layerwise,
            "joint_hessian": self._joint_hessian,
            "joint_gauss_newton": self._joint_gauss_newton,
        }
        try:
            found = functions[self._settings.variant](network, objective)
        except torch.linalg.LinAlgError:  # type: ignore[attr-defined]
            # Numbers that are not finite, or near the largest there are, have no eigenvalues. The step says so, and
            # training ends as diverged.
            nowhere = objective.loss() * torch.nan
            size = self._parameters.size
            return Direction(nowhere.expand(size), nowhere, lambda: nowhere.expand(size), {})
        self._checked = True
        return found

    def _per_sample(self, network: Network, objective: Objective) -> Direction:
        settings = self._settings
        hessians = PerSampleHessians(
            network.module,
            objective.loss_function,
            objective.inputs,
            objective.targets,
            same_function=objective.same_function,
            network=network,
            check=not self._checked,
        )
        step = hessians.mean_newton_direction(self._damping, settings.adjustment, settings.weight_decay)
        work = _second_derivatives(network) + (_ASSEMBLY_PRICE + EIGEN_PRICE) * hessians.rank**3
        _count(objective, network, len(objective.inputs) * work)
        return Direction(step, hessians.losses.mean(), hessians.mean_gradient, {})

    def _layerwise(self, network: Network, objective: Objective) -> Direction:
        settings = self._settings
        found = layerwise_direction(
            network,
            objective.loss_function,
            objective.inputs,
            objective.targets,
            self._damping,
            settings.adjustment,
            settings.weight_decay,
            check=not self._checked,
        )
        work = layerwise_multiplications(network, len(objective.inputs), found.columns)
        _count(objective, network, work)
        return Direction(found.step, found.loss, found.gradient, {})

    def _joint_hessian(self, network: Network, objective: Objective) -> Direction:
        settings = self._settings
        if joint_rank(network, len(objective.inputs)) > settings.largest_rank:
            return self._in_krylov_space(objective)
        _refuse_penalty(objective, settings.variant)
        hessian = ExactHessian(
            network.module,
            objective.loss_function,
            objective.inputs,
            objective.targets,
            same_function=objective.same_function,
            network=network,
            check=not self._checked,
        )
        step = hessian.newton_direction(self._damping, settings.adjustment, settings.weight_decay)
        work = len(objective.inputs) * _second_derivatives(network) + (_ASSEMBLY_PRICE + EIGEN_PRICE) * hessian.rank**3
        _count(objective, network, work)
        smallest = hessian.eigenvalues()[0]
        return Direction(step, hessian.loss, lambda: hessian.gradient, {"smallest_eigenvalue": smallest})

    def _in_krylov_space(self, objective: Objective) -> Direction:
        """Return the direction in the Krylov space of the gradient, which holds the gradient and so all of the step."""
        settings = self._settings
        products = self._products(objective)
        loss, own = products.loss, products.gradient
        gradient = self._with_decay(own)
        if not gradient.any():
            return Direction(torch.zeros_like(gradient), loss, lambda: own, {}, products=products)
        krylov = lanczos(products, gradient, settings.krylov_steps)
        values, vectors, residuals = krylov.eigenpairs()
        along = divide(vectors.T @ gradient, divisor(values, settings.adjustment, self._damping, settings.weight_decay))
        numbers: dict[str, float | torch.Tensor] = {
            "smallest_ritz_value": values[0],
            "krylov_residual": residuals.max() / values.abs().max().clamp(min=torch.finfo(values.dtype).tiny),
        }
        return Direction(-(vectors @ along), loss, lambda: own, numbers, products=products)

    def _products(self, objective: Objective) -> ObjectiveProducts:
        return objective_products(objective, self._settings.product, check=not self._checked)

    def _joint_gauss_newton(self, network: Network, objective: Objective) -> Direction:
        settings = self._settings
        batch = len(objective.inputs)
        jacobian = output_jacobian(network, objective.loss_function, objective.inputs, objective.targets)
        if not self._checked:
            check_samples_apart(network, objective.inputs)
            check_jacobian(jacobian, objective.loss_function, objective.inputs, objective.targets)
        step = gauss_newton_direction(jacobian, self._damping, settings.weight_decay, objective.penalty)
        penalised = [p.detach() * float(p.ndim > 1) for p in self._parameters] if objective.penalty else []
        loss = jacobian.loss + objective.penalty / 2 * sum(p.square().sum() for p in penalised)

        def gradient() -> torch.Tensor:
            own = jacobian.gradient()
            return own + objective.penalty * flattened(penalised) if penalised else own

        columns = jacobian.factors.residual.shape[1]
        _count(objective, network, gauss_newton_multiplications(network, batch, columns))
        return Direction(step, loss, gradient, {}, jacobian=jacobian)

    def _with_decay(self, gradient: torch.Tensor) -> torch.Tensor:
        if not self._settings.weight_decay:
            return gradient
        return gradient + self._settings.weight_decay * self._parameters.vector()

    def _move_and_adapt(self, objective: Objective, found: Direction, step: torch.Tensor) -> dict[str, float]:
        """Take the step, compare its decrease with the quadratic model's, and adapt the damping."""
        decay = self._settings.weight_decay
        before = self._parameters.vector()
        curvature = self._curvature_along(objective, found, step) + decay * float(step @ step)
        predicted = float(self._with_decay(found.gradient()) @ step) + curvature / 2
        self._parameters.move(step)
        after = before + step
        actual = float(objective.loss() - found.loss) + decay / 2 * float(after @ after - before @ before)
        rounding = rounding_of(float(found.loss) + decay / 2 * float(before @ before), step.dtype)
        ratio = reduction_ratio(actual, predicted, rounding)
        if ratio is None:
            return {"decrease_ratio": float("nan")}
        self._damping = next_damping(self._damping, ratio)
        if not actual <= 0:
            self._parameters.place(before)
            if self._velocity is not None:
                self._velocity = torch.zeros_like(self._velocity)
        return {"decrease_ratio": ratio if predicted < 0 else float("nan")}

    def _curvature_along(self, objective: Objective, found: Direction, step: torch.Tensor) -> float:
        """Return the model's sᵀ H s: of the Gauss-Newton part where that is the model, of the Hessian otherwise."""
        if found.jacobian is None:
            products = found.products or self._products(objective)
            return float(step @ products(step))
        weights = torch.cat([torch.full((p.numel(),), float(p.ndim > 1)) for p in self._parameters]).to(step)
        of_penalty = objective.penalty * float(step @ (weights * step)) if objective.penalty else 0.0
        return float(found.jacobian.applied(step).square().sum()) + of_penalty


def build(parameters: Iterable[torch.nn.Parameter], settings: Settings) -> ExactNewton:
    """Return exact Newton over ``parameters``, of which those that require no gradient are left alone."""
    return ExactNewton(parameters, settings)


def _check_per_sample(network: Network) -> None:
    """Check that a network is dense, and its Hessians not too many numbers.

    Raises:
        CapabilityError: Naming the module that is not dense, or the numbers that the Hessians would need.
    """
    for layer in network.layers:
        if layer.coordinates == "direct":
            raise CapabilityError(
                f"exact_newton: 'per_sample' is for dense networks, and module {layer.name!r} is no linear layer; use "
                "'joint_gauss_newton'"
            )
    coordinates = sum(layer.uses * (layer.output_features + layer.input_features) for layer in network.layers[1:])
    coordinates += network.layers[0].uses * network.layers[0].output_features
    numbers = network.batch_size * coordinates**2
    if numbers > LARGEST_PER_SAMPLE_NUMBERS:
        raise CapabilityError(
            f"exact_newton: 'per_sample' needs {network.batch_size} matrices of {coordinates} rows, {numbers:.1e} "
            f"numbers of at most {LARGEST_PER_SAMPLE_NUMBERS:.0e}; use a smaller batch or 'layerwise'"
        )


def _check_outputs(objective: Objective, variant: Variant) -> None:
    """Check that the outputs of a batch are few enough, or that its loss is the mean of its samples' losses.

    Raises:
        CapabilityError: The variant cannot take such a batch or such a loss.
    """
    if variant == "joint_hessian":
        return
    inputs, targets, loss_function = objective.inputs, objective.targets, objective.loss_function
    with torch.no_grad(), objective.same_function():
        outputs = objective.model(inputs)
        whole = loss_function(outputs, targets)
    batch = len(inputs)
    if variant == "joint_gauss_newton":
        if outputs.numel() > LARGEST_GAUSS_NEWTON_ROWS:
            raise CapabilityError(
                f"exact_newton: 'joint_gauss_newton' factorizes a matrix of batch × outputs, {batch} × "
                f"{outputs[0].numel()}, of up to {LARGEST_GAUSS_NEWTON_ROWS} rows; use a smaller batch"
            )
        return
    each = torch.stack([loss_function(outputs[i : i + 1], targets[i : i + 1]) for i in range(batch)])
    if (each.mean() - whole).abs() > 1e-3 * each.abs().mean():
        raise CapabilityError(
            f"exact_newton: {variant!r} takes the mean of its samples' losses, {float(each.mean()):g}, and the loss of "
            f"the batch is {float(whole):g}, a sum or a weighted mean; use 'joint_gauss_newton'"
        )


def joint_rank(network: Network, batch: int) -> int:
    """Return a bound on the coordinates of the Hessian of a mini-batch, without computing anything of it.

    It is their number, unless a layer's input does not move that might have: behind a frozen layer, beside a
    convolution, or in a first layer that a sample uses more than once.

    Args:
        network: The network.
        batch: Samples in the mini-batch.
    """
    total = sum(layer.size for layer in network.direct_layers)
    for position, layer in enumerate(network.activation_layers):
        features = layer.size // layer.output_features
        rows = batch * layer.uses
        moves = position > 0 or network.direct_layers or layer.uses > 1
        seen = min(rows, layer.output_features) if moves else 0
        total += seen * features + (layer.output_features - seen) * min(rows, features)
    return total


def _refuse_penalty(objective: Objective, variant: Variant) -> None:
    if objective.penalty:
        raise CapabilityError(
            f"exact_newton: the problem's objective has a penalty of {objective.penalty:g} on its weights, which the "
            f"variant {variant!r} cannot represent here; use 'joint_gauss_newton'"
        )


def _count(objective: Objective, network: Network, multiplications: float) -> None:
    """Count the gradient of the batch and the multiplications beyond it."""
    objective.work.count_gradient(len(objective.inputs))
    objective.work.count_multiplications(multiplications, 3 * network.multiplications)


def _second_derivatives(network: Network) -> float:
    """Return the multiplications of all rows of second derivatives of one sample: two passes for each."""
    rows = sum(layer.uses * layer.output_features for layer in network.activation_layers)
    rows += sum(layer.size for layer in network.direct_layers)
    return 2.0 * rows * network.inner_multiplications
