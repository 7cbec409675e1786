"""A forward pass with something to differentiate by at every place where a parameter enters.

Derived in docs/methods.md, section 1. In a layer that is seen through its activations, ε is added to the pre-activation
a = W h + b, and ⟨ν, h⟩ to the loss, with ε = ν = 0: the second derivatives of Φ(ε, ν) = L(ε) + Σ ⟨ν, h(ε)⟩ are ∇²_ε L
and ∂h/∂ε, which is all that the closed form is made of. In every other layer a zero is added to the parameters.
"""

from dataclasses import dataclass, field
from typing import Any

import torch
from torch.nn import functional
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_map

from secondorder.curvature.layers import Layer, Network, linear_arguments
from secondorder.errors import CapabilityError


@dataclass
class ActivationLeaves:
    """One linear layer in a perturbed pass; the uses of all its calls stand one after the other.

    Attributes:
        layer: The layer.
        epsilons: ε of each call, shape [B, …, n_out].
        inputs: h̃ of each call, shape [B, uses, n_in']: h beside a 1 for the bias, each where it is trained.
        probes: ν of each call, shape like h before flattening; None where h does not depend on any leaf.
    """

    layer: Layer
    epsilons: list[torch.Tensor] = field(default_factory=list)
    inputs: list[torch.Tensor] = field(default_factory=list)
    probes: list[torch.Tensor | None] = field(default_factory=list)

    @property
    def coupled(self) -> bool:
        """Whether the input of any use depends on a leaf, so that v = dWᵀδ matters."""
        return any(probe is not None for probe in self.probes)

    def extended_inputs(self) -> torch.Tensor:
        """Return h̃ of all calls, shape [B, uses, n_in']."""
        return self.inputs[0] if len(self.inputs) == 1 else torch.cat(self.inputs, dim=1)


@dataclass
class PerturbedPass:
    """What a perturbed forward pass leaves.

    Attributes:
        outputs: The network's outputs z.
        probe_sum: Σ ⟨ν, h⟩, a 0-dimensional zero.
        activations: The layers that are seen through their activations.
        direct: The zeros added to each parameter of the other layers: of its shape, or with a batch dimension in front.
    """

    outputs: torch.Tensor
    probe_sum: torch.Tensor
    activations: list[ActivationLeaves]
    direct: list[torch.Tensor]


def perturbed_forward(network: Network, inputs: torch.Tensor, *, coupled: bool, separate: bool) -> PerturbedPass:
    """Run the network with leaves at every place where a parameter enters.

    Args:
        network: The network, taken apart.
        inputs: Its inputs, batch first.
        coupled: Add ⟨ν, h⟩; the Gauss-Newton matrix does not need it.
        separate: Give each sample zeros of its own for the direct layers, so that one backward pass tells the samples
            apart.

    Raises:
        CapabilityError: Something is changed in place that the derivatives need.
    """
    mode = _Perturb(network, len(inputs), coupled=coupled, separate=separate)
    with torch.enable_grad(), network.same_function(), mode:
        outputs = network.module(inputs.detach())
    check_outputs(outputs, len(inputs))
    return PerturbedPass(outputs, mode.probe_sum, list(mode.activations.values()), list(mode.direct.values()))


def check_outputs(outputs: Any, batch_size: int) -> None:
    """Check that a network returns one tensor with a row for each sample.

    Raises:
        CapabilityError: It does not.
    """
    if not isinstance(outputs, torch.Tensor) or outputs.ndim == 0 or len(outputs) != batch_size:
        shape = tuple(outputs.shape) if isinstance(outputs, torch.Tensor) else type(outputs).__name__
        raise CapabilityError(f"the model's output is {shape}; it has to be one tensor, batch of {batch_size} first")


class _Perturb(TorchFunctionMode):
    """Adds the leaves while a forward pass runs."""

    def __init__(self, network: Network, batch_size: int, *, coupled: bool, separate: bool) -> None:
        super().__init__()
        self._batch_size = batch_size
        self._coupled = coupled
        self._separate = separate
        self.activations = {id(layer): ActivationLeaves(layer) for layer in network.activation_layers}
        self._layer_of = {id(p): layer for layer in network.activation_layers for p in layer.parameters}
        first = network.parameters[0]
        self.probe_sum = first.new_zeros(())
        batch = (batch_size,) if separate else ()
        self.direct = {
            id(p): first.new_zeros(*batch, *p.shape).requires_grad_()
            for layer in network.direct_layers
            for p in layer.parameters
        }

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func is functional.linear:
            given, weight, bias = linear_arguments(args, kwargs)
            layer = self._layer_of.get(id(weight)) or self._layer_of.get(id(bias))
            if layer is not None:
                return self._through_activations(layer, given, weight, bias)
        if self.direct and any(id(value) in self.direct for value in (*args, *kwargs.values())):
            return self._through_parameters(func, args, kwargs)
        return func(*args, **kwargs)

    def _through_activations(
        self, layer: Layer, given: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None
    ) -> torch.Tensor:
        leaves = self.activations[id(layer)]
        output = functional.linear(given, _constant(weight), None if bias is None else _constant(bias))
        epsilon = torch.zeros_like(output.detach(), memory_format=torch.contiguous_format).requires_grad_()
        probe = None
        if self._coupled and given.requires_grad and layer.weight is not None:
            probe = torch.zeros_like(given.detach(), memory_format=torch.contiguous_format).requires_grad_()
            self.probe_sum = self.probe_sum + (probe * given).sum()
        leaves.epsilons.append(epsilon)
        flat = given.detach().reshape(self._batch_size, -1, given.shape[-1])
        parts = [flat] if layer.weight is not None else []
        if layer.bias is not None:
            parts.append(flat.new_ones(*flat.shape[:2], 1))
        # A copy even of one part: what the network later changes in place is not what the layer has seen.
        leaves.inputs.append(torch.cat(parts, dim=2) if len(parts) > 1 else parts[0].clone())
        leaves.probes.append(probe)
        return output + epsilon

    def _through_parameters(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if not self._separate:
            args, kwargs = tree_map(self._moved, (args, kwargs))
            return func(*args, **kwargs)
        if not args:
            args, kwargs = (kwargs["input"],), {name: value for name, value in kwargs.items() if name != "input"}
        given, others = args[0], args[1:]
        own = [self.direct[id(value)] for value in (*others, *kwargs.values()) if id(value) in self.direct]

        def of_one_sample(sample: torch.Tensor, *zeros: torch.Tensor) -> Any:
            remaining = iter(zeros)
            moved, named = tree_map(
                lambda value: value.detach() + next(remaining) if id(value) in self.direct else value, (others, kwargs)
            )
            return func(sample.unsqueeze(0), *moved, **named).squeeze(0)

        return torch.func.vmap(of_one_sample)(given, *own)

    def _moved(self, value: Any) -> Any:
        return value.detach() + self.direct[id(value)] if id(value) in self.direct else value


def _constant(tensor: torch.Tensor) -> torch.Tensor:
    """Return a parameter without its derivative; a weight or a bias that the network computes keeps its own."""
    return tensor.detach() if isinstance(tensor, torch.nn.Parameter) else tensor
