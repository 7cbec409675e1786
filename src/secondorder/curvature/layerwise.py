"""The layerwise Newton direction, averaged over samples: closed form, nearly the price of a gradient.

Derived in docs/methods.md, section 1. For a weight that a sample uses once, the diagonal block of one sample's Hessian
is exactly (h̃ h̃ᵀ) ⊗ A with A = ∇²_a L. In a piecewise-linear network A = J̃ᵀJ̃ with J̃ = Mᵀ ∂z/∂a of k rows, so

    (‖h̃‖² A + ρ)⁻¹ δ = J̃ᵀ (S + ρ)⁻¹ q,   S = ‖h̃‖² J̃ J̃ᵀ,   δ = J̃ᵀ q,

is one solve of k × k per sample and layer. With the adjustment ``flat`` the divisor is τS² + S + ρ, τ = 1/σ.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch

from secondorder.curvature.activation_hessian import LossFunction
from secondorder.curvature.adjustments import AdjustmentName, divisor
from secondorder.curvature.exact_hessian import PerSampleHessians
from secondorder.curvature.gauss_newton import LayerJacobian, OutputJacobian, output_jacobian
from secondorder.curvature.layers import Network
from secondorder.curvature.parameter_vectors import assembled, layer_matrix
from secondorder.curvature.symmetric import EIGEN_PRICE
from secondorder.curvature.verification import check_jacobian, check_samples_apart
from secondorder.errors import CapabilityError, ConfigurationError


@dataclass(frozen=True)
class LayerwiseDirection:
    """A direction with what it was computed from.

    Attributes:
        step: d, shape [P].
        loss: The loss of the batch, 0-dimensional.
        gradient: Computes the gradient of the batch's loss, shape [P].
        columns: k, rows of J̃ per sample; None where the eigenvalues of the blocks were taken.
    """

    step: torch.Tensor
    loss: torch.Tensor
    gradient: Callable[[], torch.Tensor]
    columns: int | None


def check_layerwise(network: Network) -> None:
    """Check that each weight is used once per sample, in a linear layer.

    Raises:
        CapabilityError: Naming the module that is used otherwise.
    """
    for layer in network.layers:
        if layer.coordinates == "direct" or layer.uses != 1:
            raise CapabilityError(
                f"module {layer.name!r}: the layerwise form needs weights that a sample uses once, so dense layers; "
                "use 'joint_gauss_newton'"
            )


def layerwise_direction(
    network: Network,
    loss_fn: LossFunction,
    inputs: torch.Tensor,
    targets: torch.Tensor,
    damping: float,
    adjustment: AdjustmentName = "absolute",
    weight_decay: float = 0.0,
    *,
    check: bool = True,
) -> LayerwiseDirection:
    """Return the mean over samples of −φ(H_i)⁻¹ (g_i + λθ), H_i the diagonal blocks of a sample's Hessian.

    A piecewise-linear network takes the solves above; any other one the eigenvalues of every block.

    Args:
        network: The network, taken apart.
        loss_fn: A mean over the samples, unweighted.
        inputs: Inputs, batch first.
        targets: Targets, batch first.
        damping: μ.
        adjustment: φ; see :mod:`secondorder.curvature.adjustments`.
        weight_decay: λ.
        check: Check the loss and the closed form; an optimizer does so at its first step.

    Raises:
        CapabilityError: A weight is not used once per sample, or the model couples samples.
        ConfigurationError: There is no such adjustment, or damping and regularization are 0 together.
    """
    check_layerwise(network)
    divisor(inputs.new_zeros(1), adjustment, damping, weight_decay)
    if damping + weight_decay <= 0:
        raise ConfigurationError("damping and weight_decay are 0, so the blocks are singular; give damping")
    if network.piecewise_linear:
        jacobian = output_jacobian(network, loss_fn, inputs, targets)
        if check:
            check_samples_apart(network, inputs)
            check_jacobian(jacobian, loss_fn, inputs, targets)
        if jacobian.factors.remainder is None:
            step = _piecewise_linear_direction(jacobian, damping, adjustment, weight_decay)
            columns = jacobian.factors.residual.shape[1]
            return LayerwiseDirection(step, jacobian.loss, jacobian.gradient, columns)
    hessians = PerSampleHessians(
        network.module,
        loss_fn,
        inputs,
        targets,
        "layerwise",
        same_function=network.same_function,
        network=network,
        check=check,
    )
    step = hessians.mean_newton_direction(damping, adjustment, weight_decay)
    return LayerwiseDirection(step, hessians.losses.mean(), hessians.mean_gradient, None)


def _piecewise_linear_direction(
    jacobian: OutputJacobian, damping: float, adjustment: AdjustmentName, weight_decay: float
) -> torch.Tensor:
    batch = len(jacobian.factors.residual)
    rho = damping + weight_decay
    # The factors are those of the mean loss; a sample's own loss has B times its curvature and B times its gradient.
    root = batch**0.5
    rows = torch.stack([layer.rows[:, :, 0] @ layer.rows[:, :, 0].mT for layer in jacobian.layers])
    squares = torch.stack([torch.linalg.vecdot(layer.inputs[:, 0], layer.inputs[:, 0]) for layer in jacobian.layers])
    small = batch * squares[:, :, None, None] * rows
    tau = None
    if adjustment == "flat":
        traces = small.diagonal(dim1=2, dim2=3).sum((0, 2))
        tau = (traces / small.square().sum((0, 2, 3)).clamp(min=torch.finfo(small.dtype).tiny))[None, :, None, None]
    system = small.clone() if tau is None else small + tau * (small @ small)
    system.diagonal(dim1=2, dim2=3).add_(rho)
    right = root * jacobian.factors.residual.expand(len(small), -1, -1)[..., None]
    if weight_decay:
        right = torch.cat([right, _of_decay(jacobian, small, tau, root)], dim=-1)
    solved = torch.linalg.solve_ex(system, right).result * (root / batch)
    weights = solved[..., 0]
    if weight_decay:
        # φ⁻¹ λz = (z − ‖h̃‖² J̃ᵀ (…)⁻¹ (I + τS) J̃ z) λ/ρ with z = W h̃ / ‖h̃‖²; its first part is in the end's λ/ρ θ.
        weights = weights - (weight_decay / rho) * solved[..., 1]
    matrices = [layer.pulled_back(part) for layer, part in zip(jacobian.layers, weights, strict=True)]
    step = -assembled(jacobian.network, matrices, jacobian.direct[0, 0], jacobian.direct[0, 0])
    if not weight_decay:
        return step
    return step - (weight_decay / rho) * jacobian.network.parameter_vector()


def _of_decay(jacobian: OutputJacobian, small: torch.Tensor, tau: torch.Tensor | None, root: float) -> torch.Tensor:
    """Return (I + τS) J̃ W h̃ of every layer and sample, shape [L, B, C, 1]."""
    parameters = jacobian.network.parameter_vector()
    moved = torch.stack([_moved(layer, layer_matrix(parameters, layer.layer)) for layer in jacobian.layers])[..., None]
    moved = root * moved
    return moved if tau is None else moved + tau * (small @ moved)


def _moved(layer: LayerJacobian, matrix: torch.Tensor) -> torch.Tensor:
    return torch.einsum("bca,ba->bc", layer.rows[:, :, 0], layer.inputs[:, 0] @ matrix.T)


def layerwise_multiplications(network: Network, batch: int, columns: int | None) -> float:
    """Return the multiplications of a direction beyond those of a gradient of the batch.

    Of a piecewise-linear network the rows of J̃, the small matrices and their solves; of any other the second
    derivatives and the eigenvalue problems of the blocks.

    Args:
        network: The network.
        batch: B.
        columns: k, rows of J̃ per sample; None where the eigenvalues of the blocks are taken.
    """
    widths = [layer.output_features for layer in network.layers]
    if columns is not None:
        small = sum(columns**2 * width + columns**3 / 3 for width in widths)
        return batch * (columns * network.inner_multiplications + small)
    blocks = sum(EIGEN_PRICE * width**3 for width in widths)
    return batch * (2 * sum(widths) * network.inner_multiplications + blocks)
