"""The joint Gauss-Newton direction of a mini-batch, by one Cholesky factorization of a Bk × Bk matrix.

Derived in docs/methods.md, section 1. With ∇²_z L = M Mᵀ, ∇_z L = M q and J̃ = Mᵀ ∂z/∂θ, the Gauss-Newton matrix is J̃ᵀJ̃
and the gradient J̃ᵀq. For a diagonal D of regularization and damping and what else the objective's gradient holds, w,

    d = −(J̃ᵀJ̃ + D)⁻¹ (J̃ᵀq + w) = −D⁻¹ (w + J̃ᵀ x),   x = (I + J̃ D⁻¹ J̃ᵀ)⁻¹ (q − J̃ D⁻¹ w).

This push-through form does not cancel in float32. J̃ is never formed: of a linear layer used once per sample it is
j ⊗ h̃ with j of n_out numbers for each of the Bk rows, and J̃ J̃ᵀ the product, entry by entry, of two Gram matrices.
"""

from dataclasses import dataclass

import torch

from secondorder.curvature.activation_hessian import LossFunction, batched_gradients, explained_derivatives
from secondorder.curvature.layers import Layer, Network
from secondorder.curvature.output_factors import OutputFactors, output_factors
from secondorder.curvature.parameter_vectors import assembled, direct_part, layer_matrix
from secondorder.curvature.perturbation import perturbed_forward
from secondorder.errors import CapabilityError, ConfigurationError

LARGEST_ROWS = 2**30
"""Numbers of a Jacobian that are held at once: 4 GiB in single precision."""


@dataclass
class LayerJacobian:
    """J̃ of one linear layer in factors.

    Attributes:
        layer: The layer.
        rows: j = Mᵀ ∂z/∂a, shape [B, k, uses, n_out].
        inputs: h̃, shape [B, uses, n_in'].
    """

    layer: Layer
    rows: torch.Tensor
    inputs: torch.Tensor

    def applied(self, matrix: torch.Tensor) -> torch.Tensor:
        """Return J̃ dW̃, shape [B, k]."""
        moved = self.inputs @ matrix.T
        return torch.einsum("bcma,bma->bc", self.rows, moved)

    def pulled_back(self, weights: torch.Tensor) -> torch.Tensor:
        """Return J̃ᵀ x as dW̃, shape [n_out, n_in'], for x of shape [B, k]."""
        along = torch.einsum("bc,bcma->bma", weights, self.rows)
        return along.flatten(0, 1).T @ self.inputs.flatten(0, 1)

    def add_gram(self, system: torch.Tensor, divisors: torch.Tensor) -> None:
        """Add J̃ D⁻¹ J̃ᵀ to ``system``, shape [Bk, Bk], for D the same in every row of dW̃, shape [n_in']."""
        batch, columns, uses, _ = self.rows.shape
        scaled = self.inputs / divisors.sqrt()
        if uses == 1:
            of_rows = self.rows.reshape(batch * columns, -1)
            of_inputs = scaled[:, 0] @ scaled[:, 0].T
            shape = (batch, columns, batch, columns)
            system.view(shape).addcmul_((of_rows @ of_rows.T).view(shape), of_inputs[:, None, :, None])
        else:
            full = torch.einsum("bcma,bmk->bcak", self.rows, scaled).reshape(batch * columns, -1)
            system.addmm_(full, full.T)


@dataclass
class OutputJacobian:
    """J̃ of a whole network, its rows being the outputs of a batch under M.

    Attributes:
        network: The network.
        layers: The linear layers that are seen through their activations.
        direct: J̃ of the direct parameters, shape [B, k, p].
        factors: M and q.
        loss: The loss, 0-dimensional.
    """

    network: Network
    layers: list[LayerJacobian]
    direct: torch.Tensor
    factors: OutputFactors
    loss: torch.Tensor

    def gradient(self) -> torch.Tensor:
        """Return J̃ᵀ q, shape [P]: the gradient of the loss, but for the factors' remainder."""
        return self.pulled_back(self.factors.residual)

    def applied(self, vector: torch.Tensor) -> torch.Tensor:
        """Return J̃ v, shape [B, k], for v of shape [P]: vᵀ J̃ᵀJ̃ v is its squared length."""
        total = self.direct @ direct_part(vector, self.network.direct_layers)
        for layer in self.layers:
            total = total + layer.applied(layer_matrix(vector, layer.layer))
        return total

    def pulled_back(self, weights: torch.Tensor) -> torch.Tensor:
        """Return J̃ᵀ x, shape [P], for x of shape [B, k]."""
        matrices = [layer.pulled_back(weights) for layer in self.layers]
        return assembled(self.network, matrices, torch.einsum("bc,bcp->p", weights, self.direct), weights[0])


def output_jacobian(
    network: Network, loss_fn: LossFunction, inputs: torch.Tensor, targets: torch.Tensor
) -> OutputJacobian:
    """Return J̃ of a batch, from one forward pass and as many backward passes as the network has outputs, batched.

    Args:
        network: The network, taken apart.
        loss_fn: Maps outputs and targets to a 0-dimensional tensor.
        inputs: Inputs, batch first.
        targets: Targets, batch first.

    Raises:
        CapabilityError: The rows by the direct parameters are too many numbers, or the model changes in place what
            derivatives need.
    """
    batch = len(inputs)
    direct_size = sum(layer.size for layer in network.direct_layers)
    with explained_derivatives():
        passed = perturbed_forward(network, inputs, coupled=False, separate=True)
    with torch.no_grad():
        loss = loss_fn(passed.outputs, targets)
    factors = output_factors(loss_fn, passed.outputs.detach(), targets)
    count = factors.residual.numel() * direct_size
    if count > LARGEST_ROWS:
        raise CapabilityError(
            f"the rows of the Jacobian by {direct_size} parameters of convolutions are {count:.1e} numbers, of at most "
            f"{LARGEST_ROWS:.1e}; use fewer samples"
        )
    leaves = [epsilon for layer in passed.activations for epsilon in layer.epsilons]
    seeds = factors.factor.permute(2, 0, 1).reshape(-1, *passed.outputs.shape)
    with explained_derivatives():
        rows = batched_gradients(passed.outputs, [*leaves, *passed.direct], seeds)
    columns, position, layers = len(seeds), 0, []
    for layer in passed.activations:
        own = rows[position : position + len(layer.epsilons)]
        position += len(own)
        width = layer.layer.output_features
        joined = [row.reshape(columns, batch, -1, width) for row in own]
        together = joined[0] if len(joined) == 1 else torch.cat(joined, dim=2)
        layers.append(LayerJacobian(layer.layer, together.transpose(0, 1), layer.extended_inputs()))
    direct = [row.reshape(columns, batch, -1) for row in rows[position:]]
    joined_direct = torch.cat(direct, dim=2) if direct else loss.new_zeros(columns, batch, 0)
    return OutputJacobian(network, layers, joined_direct.transpose(0, 1), factors, loss)


def gauss_newton_direction(
    jacobian: OutputJacobian,
    damping: float,
    weight_decay: float = 0.0,
    penalty: float = 0.0,
) -> torch.Tensor:
    """Return d = −(J̃ᵀJ̃ + D)⁻¹ (∇L + Λθ), shape [P], Λ = λ and on weights λ + penalty, D = Λ + μ.

    Args:
        jacobian: J̃ of the batch.
        damping: μ.
        weight_decay: λ, of all parameters.
        penalty: Coefficient of the objective's penalty on the weights, the parameters of two or more dimensions.

    Raises:
        ConfigurationError: Damping and regularization are 0 together, or one is negative.
        CapabilityError: The loss has a gradient where it has no curvature.
    """
    for name, value in (("damping", damping), ("weight_decay", weight_decay), ("penalty", penalty)):
        if not value >= 0:
            raise ConfigurationError(f"{name} is {value!r}; it must be at least 0")
    if damping + weight_decay <= 0:
        raise ConfigurationError("damping and weight_decay are 0, so the Gauss-Newton matrix is singular; give damping")
    network = jacobian.network
    regularization = torch.cat(
        [
            jacobian.direct.new_full((p.numel(),), weight_decay + (penalty if p.ndim > 1 else 0.0))
            for p in network.parameters
        ]
    )
    divisors = regularization + damping
    shape = jacobian.factors.residual.shape
    system = divisors.new_zeros(shape.numel(), shape.numel())
    system.diagonal().fill_(1)
    for layer in jacobian.layers:
        layer.add_gram(system, layer_matrix(divisors, layer.layer)[0])
    if jacobian.direct.shape[2]:
        scaled = jacobian.direct / direct_part(divisors, network.direct_layers).sqrt()
        scaled = scaled.reshape(shape.numel(), -1)
        system.addmm_(scaled, scaled.T)
    other = _other_gradient(jacobian, weight_decay, penalty, regularization)
    right = jacobian.factors.residual
    if other is not None:
        right = right - jacobian.applied(other / divisors)
    # Without an exception, which would wait for the device: what is not finite, or so little damped that the factor
    # is only begun, gives a direction that is not finite.
    found = torch.linalg.cholesky_ex(system)
    factor = torch.where(found.info == 0, found.L, torch.nan)
    solved = torch.cholesky_solve(right.reshape(-1, 1), factor).view(shape)
    step = jacobian.pulled_back(solved)
    return -(step if other is None else step + other) / divisors


def _other_gradient(
    jacobian: OutputJacobian, weight_decay: float, penalty: float, regularization: torch.Tensor
) -> torch.Tensor | None:
    """Return w, what the objective's gradient holds besides J̃ᵀq; None for nothing."""
    other = None
    if weight_decay or penalty:
        other = regularization * jacobian.network.parameter_vector()
    if jacobian.factors.remainder is not None:
        raise CapabilityError(
            "the loss has a gradient where it has no curvature, which the Gauss-Newton form does not reach; use "
            "cross-entropy or squared errors"
        )
    return other


def gauss_newton_multiplications(network: Network, batch: int, columns: int) -> float:
    """Return the multiplications of a direction beyond those of a gradient of the batch.

    The rows of J̃ (one pass behind the first layer, and one by the weights where they are formed), its Gram matrix and
    the Cholesky factorization.

    Args:
        network: The network.
        batch: B.
        columns: k, rows of J̃ per sample.
    """
    rows = batch * columns
    # What a row is made of: n_out numbers where a sample uses the layer once, all of its parameters otherwise.
    once = sum(layer.output_features for layer in network.activation_layers if layer.uses == 1)
    often = sum(layer.size for layer in network.activation_layers if layer.uses > 1)
    direct = sum(layer.size for layer in network.direct_layers)
    of_weights = sum(layer.multiplications for layer in network.direct_layers)
    of_weights += sum(layer.multiplications for layer in network.activation_layers if layer.uses > 1)
    return rows * (network.inner_multiplications + of_weights) + rows**2 * (once + often + direct) + rows**3 / 6
