"""What is checked of a network before its closed forms are believed."""

import math

import torch
from torch import nn

from secondorder.curvature.activation_hessian import LossFunction, explained_derivatives, output_hessian
from secondorder.curvature.gauss_newton import OutputJacobian
from secondorder.curvature.gauss_newton_products import gauss_newton_product
from secondorder.curvature.layers import Network, is_out_of_memory
from secondorder.errors import CapabilityError

LARGEST_COUNT = 2**30
"""Numbers of second derivatives that are held at once: 8 GiB in double precision."""

# Roundings that add up in a product: on the order of the terms of its longest sums.
_ROUNDINGS = 1000
_SAME_OUTPUT = {torch.float64: 1e-9, torch.float32: 1e-2}
_SAME_PRODUCT = {torch.float64: 1e-7, torch.float32: 2e-2}


def check_size(network: Network, batch: int, *, per_sample: bool) -> None:
    """Check that the second derivatives of a batch can be held in memory.

    Raises:
        CapabilityError: They are too many; says how many and why.
    """
    u = sum(layer.uses * layer.output_features for layer in network.activation_layers)
    v = sum(layer.uses * layer.input_features for layer in network.activation_layers)
    direct = sum(layer.size for layer in network.direct_layers)
    count = batch * (u + direct) * (u + v) + (batch if per_sample else 1) * direct**2
    if count > LARGEST_COUNT:
        raise CapabilityError(
            f"the second derivatives of {batch} samples are {count:.1e} numbers ({u} activations and {direct} "
            f"parameters of convolutions), of at most {LARGEST_COUNT:.1e}; use fewer samples, or products with vectors"
        )


def check_samples_apart(network: Network, inputs: torch.Tensor) -> None:
    """Check that the first and the last sample have the same outputs alone; dropout has other masks then.

    Raises:
        CapabilityError: They do not; names the module that couples samples where it can be found.
    """
    if network.random or len(inputs) == 1:
        return
    with torch.no_grad():
        together = network.outputs(inputs)
    for index in (0, len(inputs) - 1):
        with torch.no_grad():
            try:
                alone = network.outputs(inputs[index : index + 1])[0]
            except RuntimeError as error:
                if is_out_of_memory(error):
                    raise
                raise CapabilityError(f"the model cannot be run on one sample alone: {error}") from error
        difference = (alone - together[index]).abs().max()
        if not difference <= _SAME_OUTPUT[alone.dtype] * together.abs().max():
            raise CapabilityError(
                f"the model gives sample {index} another output when it is alone; {suspicion(network, inputs)}"
            )


def check_jacobian(
    jacobian: OutputJacobian, loss_fn: LossFunction, inputs: torch.Tensor, targets: torch.Tensor
) -> None:
    """Compare one product with J̃ᵀJ̃ with a Gauss-Newton product that does not use the closed form.

    Raises:
        CapabilityError: They differ; names the module that couples samples where it can be found.
    """
    network = jacobian.network

    like = jacobian.factors.residual
    generator = torch.Generator().manual_seed(0)
    vector = (torch.rand(network.parameter_count, generator=generator) - 0.5).to(like)
    closed = jacobian.pulled_back(jacobian.applied(vector))
    with torch.enable_grad():
        product = gauss_newton_product(
            lambda: network.outputs(inputs), lambda z: loss_fn(z, targets), network.parameters, vector
        )
    error, size = float((closed - product).norm()), float(product.norm())
    # What is not finite is said by the step that follows.
    if not math.isfinite(error) or error <= _SAME_PRODUCT[like.dtype] * size:
        return
    if error > rounding_of_a_product(network, loss_fn, inputs, targets, vector):
        raise CapabilityError(
            f"the closed form of this model's Gauss-Newton matrix is wrong: a product differs from differentiation by "
            f"{error / size if size else math.inf:.1e} of its length; {suspicion(network, inputs)}"
        )


def rounding_of_a_product(
    network: Network,
    loss_fn: LossFunction,
    inputs: torch.Tensor,
    targets: torch.Tensor,
    vector: torch.Tensor,
    *,
    per_sample: bool = False,
) -> float:
    """Return what rounding alone may do to a product where the loss is flat to its last digit.

    On a fitted sample ∇²_z L is as small as the rounding of its entries: of 1, times the weight that the loss gives the
    sample. That weight is seen in the loss's second derivative at z = 0, where no sample is fitted.

    Args:
        network: The network.
        loss_fn: Maps outputs and targets to a 0-dimensional tensor.
        inputs: Inputs, batch first.
        targets: Targets, batch first.
        vector: What the Hessian is multiplied by, shape [P].
        per_sample: Whether each sample has the loss of a batch of itself alone.
    """
    with torch.enable_grad(), explained_derivatives():
        zeros = torch.zeros_like(network.outputs(inputs))
        curved = output_hessian(zeros, loss_fn, targets, per_sample=per_sample)
        weights = curved.abs().amax((1, 2)).nan_to_num(0, 0, 0).reshape(-1, *[1] * (zeros.ndim - 1))
        product = gauss_newton_product(
            lambda: network.outputs(inputs), lambda z: (weights * z * z).sum() / 2, network.parameters, vector
        )
    rounding: float = _ROUNDINGS * torch.finfo(vector.dtype).eps * float(product.norm())
    return rounding


def suspicion(network: Network, inputs: torch.Tensor) -> str:
    """Return which module couples the samples of a batch, or that none does."""
    model = network.module
    found: list[str] = []

    def compare(name: str, module: nn.Module) -> None:
        def hook(_: nn.Module, given: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
            first = given[0] if given else None
            if found or not isinstance(first, torch.Tensor) or not isinstance(output, torch.Tensor) or len(first) < 2:
                return
            try:
                alone = type(module).forward(module, *(part[:1] for part in given))
            except (RuntimeError, TypeError, ValueError, IndexError):
                found.append(f"module {name!r} cannot be run on one sample alone")
                return
            if (
                not isinstance(alone, torch.Tensor)
                or alone.shape != output[:1].shape
                or not torch.allclose(alone, output[:1], rtol=1e-3, atol=1e-6)
            ):
                found.append(f"module {name!r} gives a sample another output when it is alone")

        handles.append(module.register_forward_hook(hook))

    handles: list[torch.utils.hooks.RemovableHandle] = []
    for name, module in model.named_modules():
        compare(name or type(model).__name__, module)
    try:
        with torch.no_grad():
            network.outputs(inputs)
    finally:
        for handle in handles:
            handle.remove()
    return found[0] if found else "it uses its parameters or its samples in a way that is not seen from outside"
