"""The Kronecker factors of linear and convolutional layers: second moments of their inputs and of their gradients.

Source: Martens & Grosse 2015, section 3 (linear layers), Grosse & Martens 2016 (convolutions), Eschenhagen et al. 2023
(expand and reduce, for weights that a sample uses more than once); derived in docs/methods.md, section "K-FAC and
EKFAC". A sample n uses a layer S times, over positions and calls, with inputs a_ns (1 behind them where there is a
bias) and propagated gradients g_ns; the layer's block of the curvature is E Σ_n v_n v_nᵀ, v_n = vec(Σ_s g_ns a_nsᵀ).
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import nn
from torch.autograd.graph import GradientEdge, get_gradient_edge
from torch.nn import functional

from secondorder.errors import CapabilityError

Layer = nn.Linear | nn.Conv2d
Sharing = Literal["expand", "reduce"]
_NUMBERS_AT_ONCE = 2**24


@dataclass
class LayerCalls:
    """The calls of one layer in one forward pass.

    Attributes:
        inputs: The input of each call.
        edges: Where the gradient by the output of each call enters the graph: it stays there when an in-place
            activation writes over the output.
    """

    inputs: list[torch.Tensor] = field(default_factory=list)
    edges: list[GradientEdge] = field(default_factory=list)


@dataclass(frozen=True)
class LayerStatistics:
    """Inputs and propagated gradients of one layer, features first.

    Attributes:
        inputs: a, shape [n_in, N, S], without the 1 of the bias.
        gradients: g of each cotangent, shape [n_out, N, S].
        bias: Whether a 1 belongs behind each input.
    """

    inputs: torch.Tensor
    gradients: Sequence[torch.Tensor]
    bias: bool

    def input_factor(self, sharing: Sharing) -> torch.Tensor:
        """Return A, shape [n_in', n_in']: the mean of a aᵀ over samples and uses, or over samples of their mean a.

        Args:
            sharing: ``expand`` or ``reduce``.
        """
        rows = self.inputs.flatten(1) if sharing == "expand" else self.inputs.mean(2)
        features, count = rows.shape
        moment = torch.empty(features + self.bias, features + self.bias, dtype=rows.dtype, device=rows.device)
        moment[:features, :features] = rows @ rows.T
        if self.bias:
            moment[features, :features] = moment[:features, features] = rows.sum(1)
            moment[features, features] = count
        moment /= count
        return moment

    def output_factor(self, sharing: Sharing) -> torch.Tensor:
        """Return G, shape [n_out, n_out]: the sum of g gᵀ over samples and uses, or over samples of their summed g.

        Args:
            sharing: ``expand`` or ``reduce``.
        """
        rows = [each.flatten(1) if sharing == "expand" else each.sum(2) for each in self.gradients]
        return torch.stack([each @ each.T for each in rows]).sum(0)

    def eigenbasis_moments(self, input_basis: torch.Tensor, output_basis: torch.Tensor) -> torch.Tensor:
        """Return the diagonal of the block in a Kronecker-factored basis, shape [n_out, n_in'].

        Σ_n (U_Gᵀ (Σ_s g_ns a_nsᵀ) U_A)², entry by entry (George et al. 2018, section 4): the best diagonal there is, in
        the Frobenius norm. The uses of a sample are added before they are squared, so that it is exact for them too.

        Args:
            input_basis: U_A, shape [n_in', n_in'], vectors in columns.
            output_basis: U_G, shape [n_out, n_out].
        """
        inputs = functional.pad(self.inputs, (0, 0, 0, 0, 0, int(self.bias)), value=1.0)
        along_inputs = torch.tensordot(input_basis.T, inputs, 1)
        moments: torch.Tensor = along_inputs.new_zeros(len(output_basis), len(input_basis))
        for each in self.gradients:
            along_gradients = torch.tensordot(output_basis.T, each, 1)
            if self.inputs.shape[2] == 1:
                moments += along_gradients[..., 0].square() @ along_inputs[..., 0].square().T
                continue
            at_once = max(1, _NUMBERS_AT_ONCE // moments.numel())
            for gradients, given in zip(along_gradients.split(at_once, 1), along_inputs.split(at_once, 1), strict=True):
                moments += torch.bmm(gradients.transpose(0, 1), given.permute(1, 2, 0)).square().sum(0)
        return moments

    def multiplications(self) -> float:
        """Return those of both factors by ``expand``."""
        inputs, gradients = len(self.inputs) + self.bias, len(self.gradients[0])
        return self._uses * (inputs**2 + len(self.gradients) * gradients**2)

    def eigenbasis_multiplications(self) -> float:
        """Return those of the moments in an eigenbasis."""
        inputs, gradients = len(self.inputs) + self.bias, len(self.gradients[0])
        return self._uses * (inputs**2 + len(self.gradients) * (gradients**2 + inputs * gradients))

    @property
    def _uses(self) -> int:
        return self.inputs.shape[1] * self.inputs.shape[2]


def kronecker_layers(model: nn.Module) -> dict[str, Layer]:
    """Return the layers that have Kronecker factors, by their names.

    These are ``Linear`` and ``Conv2d`` (of one group) with a trainable weight that is no other module's, and with a
    trainable bias or none. A weight or bias that is computed from other parameters, as in a parametrization, is none.

    Args:
        model: The network.
    """
    owners = Counter(id(parameter) for module in model.modules() for parameter in module._parameters.values())
    layers: dict[str, Layer] = {}
    for name, module in model.named_modules():
        if not isinstance(module, Layer) or (isinstance(module, nn.Conv2d) and module.groups > 1):
            continue
        used = [tensor for tensor in (module.weight, module.bias) if tensor is not None]
        if all(tensor.requires_grad and owners[id(tensor)] == 1 for tensor in used):
            layers[name] = module
    return layers


@contextmanager
def recorded_calls(layers: Mapping[str, nn.Module]) -> Iterator[dict[str, LayerCalls]]:
    """Record the calls of layers in the forward pass that runs in this block; layers without a call are absent.

    Args:
        layers: The layers by name.
    """
    calls: dict[str, LayerCalls] = {}

    def hook_of(name: str) -> Any:
        def hook(_module: nn.Module, args: tuple[Any, ...], named: dict[str, Any], output: torch.Tensor) -> None:
            if not output.requires_grad:
                return
            of_layer = calls.setdefault(name, LayerCalls())
            of_layer.inputs.append((args[0] if args else named["input"]).detach())
            of_layer.edges.append(get_gradient_edge(output))

        return hook

    handles = [layer.register_forward_hook(hook_of(name), with_kwargs=True) for name, layer in layers.items()]
    try:
        yield calls
    finally:
        for handle in handles:
            handle.remove()


def layer_statistics(
    layers: Mapping[str, Layer],
    calls: Mapping[str, LayerCalls],
    outputs: torch.Tensor,
    cotangents: Sequence[torch.Tensor],
) -> dict[str, LayerStatistics]:
    """Propagate cotangents back to the layers, not to their weights, and return what the factors are made of.

    Args:
        layers: The layers by name.
        calls: Their calls in the forward pass that made ``outputs``.
        outputs: The network's outputs with their graph, which is used up.
        cotangents: Cotangents of the outputs.

    Raises:
        CapabilityError: A layer's input does not have the batch first; names the module.
    """
    batch = len(outputs)
    for name, of_layer in calls.items():
        for inputs in of_layer.inputs:
            expected = 4 if isinstance(layers[name], nn.Conv2d) else 2
            if inputs.ndim < expected or len(inputs) != batch:
                raise CapabilityError(
                    f"module {name!r}: its input has shape {tuple(inputs.shape)}; for Kronecker factors its first "
                    f"dimension has to be the batch of {batch} samples"
                )
    edges = [edge for of_layer in calls.values() for edge in of_layer.edges]
    propagated: dict[str, list[torch.Tensor]] = {name: [] for name in calls}
    for position, cotangent in enumerate(cotangents):
        more = position + 1 < len(cotangents)
        gradients = iter(torch.autograd.grad(outputs, edges, cotangent, retain_graph=more, materialize_grads=True))
        for name, of_layer in calls.items():
            each = [_gradients_first(layers[name], next(gradients)) for _ in of_layer.edges]
            propagated[name].append(_joined(each))
    return {
        name: LayerStatistics(
            _joined([_inputs_first(layers[name], inputs) for inputs in of_layer.inputs]),
            propagated[name],
            layers[name].bias is not None,
        )
        for name, of_layer in calls.items()
    }


def _joined(pieces: list[torch.Tensor]) -> torch.Tensor:
    return pieces[0] if len(pieces) == 1 else torch.cat(pieces, dim=2)


def _inputs_first(layer: Layer, inputs: torch.Tensor) -> torch.Tensor:
    """Return the inputs of a layer's uses, for a convolution the patches, shape [n_in, N, S]."""
    if isinstance(layer, nn.Linear):
        return inputs.reshape(len(inputs), -1, inputs.shape[-1]).permute(2, 0, 1)
    mode = "constant" if layer.padding_mode == "zeros" else layer.padding_mode
    patches = functional.pad(inputs, layer._reversed_padding_repeated_twice, mode=mode)
    for axis in (0, 1):
        reach = layer.dilation[axis] * (layer.kernel_size[axis] - 1) + 1
        patches = patches.unfold(2 + axis, reach, layer.stride[axis])
    patches = patches[..., :: layer.dilation[0], :: layer.dilation[1]]
    # From [N, channels, rows, columns, kernel rows, kernel columns], in the order of the weight.
    return patches.permute(1, 4, 5, 0, 2, 3).reshape(layer.weight[0].numel(), len(inputs), -1)


def _gradients_first(layer: Layer, gradients: torch.Tensor) -> torch.Tensor:
    """Return the gradients of a layer's uses, shape [n_out, N, S]."""
    if isinstance(layer, nn.Linear):
        return gradients.reshape(len(gradients), -1, gradients.shape[-1]).permute(2, 0, 1)
    return gradients.flatten(2).transpose(0, 1)
