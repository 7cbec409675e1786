"""Second derivatives in activation space: what the closed form of the Hessian is made of.

Derived in docs/methods.md, section 1. For a sample, K = [[∇²_ε L, (∂h/∂ε)ᵀ], [∂h/∂ε, 0]], and H = Cᵀ K C with C: dθ ↦
(u, v), u = dW h̃, v = dWᵀ δ. Parameters that are their own coordinates stand beside u and are shared by the samples of a
group. A group is what one Hessian is of: one sample, or a whole mini-batch; G groups of S samples are treated at once.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

import torch

from secondorder.curvature.layers import Layer, Network, is_out_of_memory
from secondorder.curvature.perturbation import ActivationLeaves, PerturbedPass, check_outputs, perturbed_forward
from secondorder.errors import CapabilityError, InputError

LossFunction = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
CurvatureName = Literal["hessian", "ggn"]
_ELEMENTS_AT_ONCE = 2**22


@dataclass
class ActivationLayer:
    """A linear layer's activations.

    Attributes:
        layer: The layer.
        inputs: h̃, shape [G, S, uses, n_in'].
        deltas: δ = ∂L/∂a, shape [G, S, uses, n_out].
        coupled: Whether v = dWᵀ δ is among the coordinates.
        u: Where u stands among the S columns of the second derivatives, (start, stop).
        v: Where v stands, behind all u; empty where not coupled.
    """

    layer: Layer
    inputs: torch.Tensor
    deltas: torch.Tensor
    coupled: bool
    u: tuple[int, int]
    v: tuple[int, int]


@dataclass
class ActivationHessian:
    """The second derivatives of the loss of G groups of S samples, n numbers u, q numbers v and p parameters.

    Attributes:
        network: The network, taken apart.
        layers: The linear layers that are seen through their activations.
        within: ∂²/∂ε ∂(ε, ν), shape [G, S, n, n + q].
        mixed: ∂²/∂θ_direct ∂(ε, ν), shape [G, p, S, n + q].
        direct: ∂²/∂θ_direct², shape [G, p, p].
        direct_gradient: ∂L/∂θ_direct, shape [G, p].
        losses: The loss of each group, shape [G].
    """

    network: Network
    layers: list[ActivationLayer]
    within: torch.Tensor
    mixed: torch.Tensor
    direct: torch.Tensor
    direct_gradient: torch.Tensor
    losses: torch.Tensor


def activation_hessian(
    network: Network,
    loss_fn: LossFunction,
    inputs: torch.Tensor,
    targets: torch.Tensor,
    *,
    per_sample: bool,
    curvature: CurvatureName = "hessian",
    coupled: bool = True,
) -> ActivationHessian:
    """Return the second derivatives of the loss at the network's parameters.

    Args:
        network: The network, taken apart.
        loss_fn: Maps outputs and targets to a 0-dimensional tensor, a sum or a (weighted) mean over the samples.
        inputs: Inputs, batch first.
        targets: Targets, batch first.
        per_sample: Each sample is a group, with the loss of a batch of this sample alone; otherwise the batch is one
            group.
        curvature: ``hessian``, or ``ggn`` for the Gauss-Newton part Jᵀ (∇²_z L) J.
        coupled: Differentiate the layers' inputs too; without it the diagonal blocks of layers that a sample uses once
            are right, and nothing else.

    Raises:
        CapabilityError: An operation of the network has no second derivative, or changes in place what one needs.
    """
    gauss_newton = curvature == "ggn"
    separate = per_sample or gauss_newton
    with torch.enable_grad(), explained_derivatives():
        passed = perturbed_forward(network, inputs, coupled=coupled and not gauss_newton, separate=separate)
        losses = _losses(loss_fn, passed.outputs, targets, per_sample=per_sample)
        if not losses.requires_grad:
            raise CapabilityError("the loss depends on no trainable parameter by anything that autograd sees")
        if gauss_newton:
            parts = _gauss_newton_parts(passed, losses, loss_fn, targets, per_sample=per_sample)
        else:
            parts = _hessian_parts(network, passed, losses, inputs, separate=separate)
    return _grouped(network, passed, losses.detach(), *parts, per_sample=per_sample)


def check_loss(network: Network, loss_fn: LossFunction, inputs: torch.Tensor, targets: torch.Tensor) -> None:
    """Check that the loss of these inputs and targets is one finite number.

    Raises:
        InputError: Naming what is wrong.
    """
    if not isinstance(targets, torch.Tensor):
        raise InputError(f"the targets are a {type(targets).__name__}; give a tensor, batch first")
    if targets.ndim == 0 or len(targets) != len(inputs):
        count = "0-dimensional" if targets.ndim == 0 else len(targets)
        raise InputError(f"{len(inputs)} inputs and {count} targets; give one target per input")
    with torch.no_grad(), network.same_function():
        outputs = network.module(inputs)
        check_outputs(outputs, len(inputs))
        try:
            value = loss_fn(outputs, targets)
        except (IndexError, RuntimeError, TypeError, ValueError) as error:
            if is_out_of_memory(error):
                raise
            span = f"{targets.min().item()} … {targets.max().item()}"
            raise InputError(
                f"the loss refuses outputs of shape {tuple(outputs.shape)} with targets of shape "
                f"{tuple(targets.shape)} and values {span}: {error}"
            ) from error
    if not isinstance(value, torch.Tensor) or value.ndim:
        shape = tuple(value.shape) if isinstance(value, torch.Tensor) else type(value).__name__
        raise InputError(f"the loss is {shape}; it has to be 0-dimensional: use the reduction 'mean' or 'sum'")
    if not torch.isfinite(value):
        raise InputError(f"the loss is {value.item()}; a Hessian needs a finite one")


def _losses(loss_fn: LossFunction, outputs: torch.Tensor, targets: torch.Tensor, *, per_sample: bool) -> torch.Tensor:
    """Return the loss of each group, shape [G]."""
    if not per_sample:
        return loss_fn(outputs, targets).reshape(1)

    def of_one_sample(output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        return loss_fn(output.unsqueeze(0), target.unsqueeze(0))

    try:
        return torch.func.vmap(of_one_sample)(outputs, targets)
    except RuntimeError as error:
        if "vmap" not in str(error):
            raise
        raise CapabilityError(f"the loss cannot be evaluated for all samples at once: {error}") from error


def _hessian_parts(
    network: Network, passed: PerturbedPass, losses: torch.Tensor, inputs: torch.Tensor, *, separate: bool
) -> tuple[torch.Tensor, ...]:
    """Return first derivatives by ε and by the direct parameters, then the second derivatives of all."""
    batch = len(inputs)
    epsilons = [epsilon for leaves in passed.activations for epsilon in leaves.epsilons]
    by = _Leaves(network, passed, batch, separate=separate)
    value = losses.sum() + passed.probe_sum
    gradients = torch.autograd.grad(value, [*epsilons, *passed.direct], create_graph=True, materialize_grads=True)
    delta = _flat(gradients[: len(epsilons)], batch, losses)
    direct_gradient = _flat(gradients[len(epsilons) :], batch if separate else 0, losses)
    elements = batch * (by.width + 16 * inputs[0].numel()) + (0 if separate else by.direct_width)
    # Rows come first out of the batched backward pass: [n, B, n + q] and [p, B, n + q].
    within = by.rows_of(delta, elements, by_direct=False)[0].transpose(0, 1)
    mixed, direct = by.rows_of(direct_gradient, elements)
    if separate:
        mixed, direct = mixed.transpose(0, 1), direct.transpose(0, 1)
    return delta.detach(), direct_gradient.detach(), within, mixed, direct


class _Leaves:
    """The leaves (ε, ν) and the direct parameters, as columns."""

    def __init__(self, network: Network, passed: PerturbedPass, batch: int, *, separate: bool) -> None:
        self._network = network
        self._passed = passed
        self._batch = batch
        self._separate = separate
        self._activation: list[torch.Tensor] = [e for leaves in passed.activations for e in leaves.epsilons]
        self._empty: list[tuple[int, int]] = []
        for leaves in passed.activations:
            if leaves.coupled:
                self._activation += [
                    probe
                    if probe is not None
                    else given.new_zeros(*given.shape[:2], leaves.layer.input_features, requires_grad=True)
                    for probe, given in zip(leaves.probes, leaves.inputs, strict=True)
                ]
        self.width = sum(leaf[0].numel() for leaf in self._activation)
        self.direct_width = sum(leaf.numel() // (batch if separate else 1) for leaf in passed.direct)

    def rows_of(
        self, gradient: torch.Tensor, elements: int, *, by_direct: bool = True
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the derivatives of each entry of ``gradient`` by all leaves.

        Args:
            gradient: Shape [B, k] or, of parameters that the samples share, [k].
            elements: Numbers that one row needs while it is computed.
            by_direct: Whether to differentiate by the direct parameters too.

        Returns:
            Derivatives by (ε, ν), shape [k, B, n + q], and by the direct parameters, [k, B, p] or [k, p].
        """
        count = gradient.shape[-1]
        batch = (self._batch,) if self._separate else ()
        leaves = [*self._activation, *(self._passed.direct if by_direct else [])]
        if count == 0 or not gradient.requires_grad or not leaves:
            empty = gradient.new_zeros(count, self._batch, self.width)
            return empty, gradient.new_zeros(count, *batch, self.direct_width)
        activation, direct = [], []
        gradients = gradients_of_each if self._network.one_by_one else batched_gradients
        identity = torch.eye(count, dtype=gradient.dtype, device=gradient.device)
        for chunk in torch.split(identity, max(1, _ELEMENTS_AT_ONCE // elements)):
            seeds = chunk if gradient.ndim == 1 else chunk[:, None, :].expand(-1, self._batch, -1)
            rows = gradients(gradient, leaves, seeds)
            cut = len(self._activation)
            both = (len(chunk), self._batch)
            activation.append(_cat([row.reshape(*both, -1) for row in rows[:cut]], gradient, both))
            direct.append(_cat([r.reshape(len(chunk), *batch, -1) for r in rows[cut:]], gradient, (len(chunk), *batch)))
        return torch.cat(activation), torch.cat(direct)


def batched_gradients(outputs: torch.Tensor, leaves: Sequence[torch.Tensor], seeds: torch.Tensor) -> list[torch.Tensor]:
    """Return the vector-Jacobian products of all ``seeds`` at once, zeros for a leaf that ``outputs`` do not depend on.

    Args:
        outputs: What is differentiated.
        leaves: What it is differentiated by.
        seeds: Shape [k, *outputs.shape].
    """
    try:
        rows: Sequence[torch.Tensor | None] = torch.autograd.grad(
            outputs, list(leaves), seeds, is_grads_batched=True, retain_graph=True, allow_unused=True
        )
    except RuntimeError as error:
        if is_out_of_memory(error):
            raise
        # Some operations, such as group normalisation, have no batched derivative.
        return gradients_of_each(outputs, leaves, seeds)
    return _with_zeros(rows, leaves, seeds)


def gradients_of_each(outputs: torch.Tensor, leaves: Sequence[torch.Tensor], seeds: torch.Tensor) -> list[torch.Tensor]:
    """Return what :func:`batched_gradients` does, one seed after the other."""
    each = [torch.autograd.grad(outputs, list(leaves), seed, retain_graph=True, allow_unused=True) for seed in seeds]
    rows = [None if parts[0] is None else torch.stack(parts) for parts in zip(*each, strict=True)]
    return _with_zeros(rows, leaves, seeds)


def _with_zeros(
    rows: Sequence[torch.Tensor | None], leaves: Sequence[torch.Tensor], seeds: torch.Tensor
) -> list[torch.Tensor]:
    return [
        leaf.new_zeros(len(seeds), *leaf.shape) if row is None else row.detach()
        for row, leaf in zip(rows, leaves, strict=True)
    ]


def _gauss_newton_parts(
    passed: PerturbedPass, losses: torch.Tensor, loss_fn: LossFunction, targets: torch.Tensor, *, per_sample: bool
) -> tuple[torch.Tensor, ...]:
    """Return what :func:`_hessian_parts` does, of Jᵀ (∇²_z L) J."""
    batch = len(passed.outputs)
    epsilons = [epsilon for leaves in passed.activations for epsilon in leaves.epsilons]
    leaves = [*epsilons, *passed.direct]
    gradients = torch.autograd.grad(losses.sum(), leaves, retain_graph=True, materialize_grads=True)
    delta = _flat(gradients[: len(epsilons)], batch, losses)
    direct_gradient = _flat(gradients[len(epsilons) :], batch, losses)
    outputs = passed.outputs.reshape(batch, -1)
    count = outputs.shape[1]
    seeds = torch.eye(count, dtype=outputs.dtype, device=outputs.device)[:, None, :].expand(-1, batch, -1)
    rows = batched_gradients(outputs, leaves, seeds)
    cut = len(epsilons)
    empty = (count, batch)
    by_activation = _cat([row.reshape(count, batch, -1) for row in rows[:cut]], outputs, empty)
    by_direct = _cat([row.reshape(count, batch, -1) for row in rows[cut:]], outputs, empty)
    curved = output_hessian(passed.outputs, loss_fn, targets, per_sample=per_sample)
    weighted = torch.einsum("bcd,dbn->bcn", curved, by_activation)
    within = torch.einsum("cbm,bcn->bmn", by_activation, weighted)
    if per_sample:
        mixed = torch.einsum("cbp,bcn->bpn", by_direct, weighted)
        direct = torch.einsum("cbp,bcd,dbo->bpo", by_direct, curved, by_direct)
        return delta, direct_gradient, within, mixed, direct
    mixed = torch.einsum("cbp,bcn->pbn", by_direct, weighted)
    stacked = torch.einsum("bcd,dbo->bco", curved, by_direct)
    direct = by_direct.transpose(0, 1).flatten(0, 1).T @ stacked.flatten(0, 1)
    return delta, direct_gradient.sum(0), within, mixed, direct


def output_hessian(
    outputs: torch.Tensor, loss_fn: LossFunction, targets: torch.Tensor, *, per_sample: bool
) -> torch.Tensor:
    """Return ∇²_z L of each sample by its own outputs, shape [B, C, C]."""
    leaf = outputs.detach().requires_grad_()
    with torch.enable_grad():
        value = _losses(loss_fn, leaf, targets, per_sample=per_sample).sum()
        (gradient,) = torch.autograd.grad(value, leaf, create_graph=True)
    gradient = gradient.reshape(len(leaf), -1)
    count = gradient.shape[1]
    if not gradient.requires_grad:
        return gradient.new_zeros(len(leaf), count, count)
    seeds = torch.eye(count, dtype=leaf.dtype, device=leaf.device)[:, None, :].expand(-1, len(leaf), -1)
    (rows,) = batched_gradients(gradient, [leaf], seeds)
    return rows.reshape(count, len(leaf), count).transpose(0, 1)


def _grouped(
    network: Network,
    passed: PerturbedPass,
    losses: torch.Tensor,
    delta: torch.Tensor,
    direct_gradient: torch.Tensor,
    within: torch.Tensor,
    mixed: torch.Tensor,
    direct: torch.Tensor,
    *,
    per_sample: bool,
) -> ActivationHessian:
    batch = len(delta)
    groups, samples = (batch, 1) if per_sample else (1, batch)
    within = within.reshape(groups, samples, *within.shape[1:])
    if per_sample:
        mixed = mixed.unsqueeze(2)
    else:
        mixed, direct, direct_gradient = mixed.unsqueeze(0), direct.unsqueeze(0), direct_gradient.unsqueeze(0)
    layers = []
    start, behind = 0, delta.shape[1]
    for leaves in passed.activations:
        extended = leaves.extended_inputs()
        stop = start + extended.shape[1] * leaves.layer.output_features
        width = extended.shape[1] * leaves.layer.input_features if leaves.coupled else 0
        layers.append(
            ActivationLayer(
                layer=leaves.layer,
                inputs=extended.reshape(groups, samples, *extended.shape[1:]),
                deltas=_deltas(leaves, delta[:, start:stop]).reshape(groups, samples, extended.shape[1], -1),
                coupled=leaves.coupled,
                u=(start, stop),
                v=(behind, behind + width),
            )
        )
        start, behind = stop, behind + width
    return ActivationHessian(network, layers, within, mixed, direct, direct_gradient, losses)


def _deltas(leaves: ActivationLeaves, delta: torch.Tensor) -> torch.Tensor:
    return delta.reshape(len(delta), -1, leaves.layer.output_features)


def _flat(tensors: tuple[torch.Tensor, ...], batch: int, like: torch.Tensor) -> torch.Tensor:
    """Return the tensors side by side, shape [B, k], or [k] for a batch of 0 (shared by the samples)."""
    shape = (batch, -1) if batch else (-1,)
    return _cat([tensor.reshape(shape) for tensor in tensors], like, shape[:-1])


def _cat(tensors: list[torch.Tensor], like: torch.Tensor, shape: tuple[int, ...]) -> torch.Tensor:
    return torch.cat(tensors, dim=-1) if tensors else like.new_zeros(*shape, 0)


@contextmanager
def explained_derivatives() -> Iterator[None]:
    """Explain within this block what PyTorch says about derivatives that it does not have.

    Raises:
        CapabilityError: With the explanation.
    """
    try:
        yield
    except RuntimeError as error:
        if is_out_of_memory(error):
            raise
        raise _explained(error) from error


def _explained(error: RuntimeError) -> CapabilityError:
    text = " ".join(str(error).split())
    if "modified by an inplace operation" in text:
        return CapabilityError(
            f"the model changes a tensor in place that its derivatives need ({text.split(';')[0]}); write that "
            "operation out of place"
        )
    return CapabilityError(f"the model or the loss has no second derivative here: {text}")
