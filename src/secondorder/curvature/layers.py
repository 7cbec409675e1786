"""Which layers a network's trainable parameters belong to, and how each of them is used.

The closed form of the Hessian (derived in docs/methods.md) needs to know every place where a parameter enters the
network. It is found by watching one forward pass of the unmodified module: a parameter may be the weight or the bias of
a linear map, a convolution, a normalisation or a PReLU; in any other place it raises an error that names the module.
"""

import math
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import nn
from torch.nn import functional
from torch.nn.parameter import is_lazy
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves

from secondorder.analytic.module_names import ModuleNames
from secondorder.errors import CapabilityError, InputError

SameFunction = Callable[[], AbstractContextManager[None]]
Coordinates = Literal["activation", "direct"]

_PARAMETRIC = {
    functional.conv1d,
    functional.conv2d,
    functional.conv3d,
    functional.conv_transpose1d,
    functional.conv_transpose2d,
    functional.conv_transpose3d,
    functional.layer_norm,
    functional.group_norm,
    functional.batch_norm,
    functional.prelu,
}
_READS_VALUES = {"item", "tolist", "numpy", "__bool__", "__float__", "__int__", "__index__", "__array__", "__setitem__"}
_DROPOUT = {
    functional.dropout,
    functional.dropout1d,
    functional.dropout2d,
    functional.dropout3d,
    functional.alpha_dropout,
    functional.feature_alpha_dropout,
}
_PIECEWISE_LINEAR = {
    "linear", "conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d",
    "relu", "relu_", "leaky_relu", "leaky_relu_", "prelu", "hardtanh", "relu6", "threshold",
    "max_pool1d", "max_pool2d", "max_pool3d", "avg_pool1d", "avg_pool2d", "avg_pool3d",
    "adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_max_pool2d", "boolean_dispatch",
    "flatten", "reshape", "view", "squeeze", "unsqueeze", "permute", "transpose", "contiguous", "pad", "clone",
    "dropout", "dropout1d", "dropout2d", "dropout3d", "batch_norm", "add", "add_", "__add__", "__radd__", "__iadd__",
    "sub", "__sub__", "cat", "size", "dim", "__get__", "__getitem__",
}  # fmt: skip


@dataclass
class Layer:
    """Parameters that enter the network together: a weight and a bias, or one of the two.

    Attributes:
        name: Name of the module that owns them.
        function: The function of torch they are used by.
        weight: The trainable weight; None where it is frozen or absent.
        bias: The trainable bias, likewise.
        positions: Where they lie in the vector of all trainable parameters, as (start, stop), the weight first.
        coordinates: ``activation``: the layer is seen through its pre-activations and inputs; ``direct``: its
            parameters themselves are the coordinates.
        output_features: n_out, of a linear layer.
        input_features: n_in, of a linear layer.
        uses: Inputs that it maps per sample, over all calls: 1 for a dense layer.
        multiplications: Those of its forward pass over one sample.
    """

    name: str
    function: Any
    weight: nn.Parameter | None
    bias: nn.Parameter | None
    positions: list[tuple[int, int]] = field(default_factory=list)
    coordinates: Coordinates = "direct"
    output_features: int = 0
    input_features: int = 0
    uses: int = 0
    multiplications: int = 0

    @property
    def parameters(self) -> list[nn.Parameter]:
        """The trainable ones of weight and bias, in this order."""
        return [parameter for parameter in (self.weight, self.bias) if parameter is not None]

    @property
    def size(self) -> int:
        """The number of parameter entries."""
        return sum(parameter.numel() for parameter in self.parameters)


@dataclass
class Network:
    """A module with its inputs' batch size, taken apart into layers.

    Attributes:
        module: The unmodified module.
        parameters: Its trainable parameters, in the order of ``module.parameters()``.
        layers: Every layer with a trainable parameter that the forward pass uses, in the order of their first use.
        batch_size: B.
        piecewise_linear: Whether only functions known to be piecewise linear were called, so that the Hessian by any
            layer's pre-activations is its Gauss-Newton part alone.
        same_function: Context in which every forward pass is the same function.
        random: Whether that context is needed: dropout is in training mode.
        one_by_one: Whether to take second derivatives one after the other. PyTorch's batched ones are wrong for group
            normalisation, without an error where its shapes fit.
    """

    module: nn.Module
    parameters: list[nn.Parameter]
    layers: list[Layer]
    batch_size: int
    piecewise_linear: bool
    same_function: SameFunction
    random: bool = False
    one_by_one: bool = False

    @property
    def parameter_count(self) -> int:
        """P."""
        return sum(parameter.numel() for parameter in self.parameters)

    def parameter_vector(self) -> torch.Tensor:
        """Return θ, shape [P], without a graph."""
        return torch.cat([parameter.detach().flatten() for parameter in self.parameters])

    def outputs(self, inputs: torch.Tensor) -> torch.Tensor:
        """Return what the module makes of ``inputs``, as the same function each time."""
        with self.same_function():
            evaluated: torch.Tensor = self.module(inputs)
        return evaluated

    @property
    def multiplications(self) -> int:
        """Multiplications of a forward pass over one sample; a gradient takes three times as many."""
        return sum(layer.multiplications for layer in self.layers)

    @property
    def inner_multiplications(self) -> int:
        """Multiplications behind the first layer, whose inputs nothing moves: those of a pass from its activations."""
        return sum(layer.multiplications for layer in self.layers[1:])

    @property
    def activation_layers(self) -> list[Layer]:
        """The layers that are seen through their activations."""
        return [layer for layer in self.layers if layer.coordinates == "activation"]

    @property
    def direct_layers(self) -> list[Layer]:
        """The layers whose parameters are the coordinates."""
        return [layer for layer in self.layers if layer.coordinates == "direct"]


def take_apart(
    module: nn.Module, inputs: torch.Tensor, same_function: SameFunction | None = None, *, dense_only: bool = False
) -> Network:
    """Return the layers of a network, from one forward pass over ``inputs``.

    A linear layer is seen through its activations unless it has fewer parameters than the coordinates that its uses in
    one sample need; every other layer through its parameters themselves.

    Args:
        module: The network; it is not changed.
        inputs: Its inputs, batch first.
        same_function: Context in which every forward pass is the same function of the parameters. Dropout in training
            mode is refused without it.
        dense_only: See every linear layer through its activations, however often a sample uses it.

    Raises:
        InputError: The module has no trainable parameters, or they and the inputs differ in dtype or device.
        CapabilityError: A parameter or a layer is used in a way that cannot be represented; names the module.
    """
    parameters = [parameter for parameter in module.parameters() if parameter.requires_grad]
    check_tensors(module, parameters, inputs)
    watch = _Watch(module, parameters, len(inputs), randomness_is_fixed=same_function is not None)
    before = [parameter.detach().clone() for parameter in parameters]
    same_function = same_function or nullcontext
    with torch.no_grad(), same_function(), watch.names.watched(), watch:
        try:
            module(inputs)
        except RuntimeError as error:
            if is_out_of_memory(error):
                raise
            raise InputError(
                f"the model refuses inputs of shape {tuple(inputs.shape)} and {inputs.dtype}: {error}"
            ) from error
    for parameter, value in zip(parameters, before, strict=True):
        if not torch.equal(parameter, value):
            owner = watch.owners[id(parameter)]
            raise CapabilityError(f"module {owner!r}: its parameters change in the forward pass; that has no Hessian")
    if not watch.layers:
        raise CapabilityError(
            "no trainable parameter is seen in the forward pass: the model uses none of them, or it is compiled or "
            "scripted; give the module itself"
        )
    positions = {}
    start = 0
    for parameter in parameters:
        positions[id(parameter)] = (start, start + parameter.numel())
        start += parameter.numel()
    for layer in watch.layers:
        layer.positions = [positions[id(parameter)] for parameter in layer.parameters]
        if layer.function is functional.linear:
            inputs_used = layer.input_features if layer.weight is not None else 0
            fits = layer.uses * (layer.output_features + inputs_used) <= layer.size
            layer.coordinates = "activation" if fits or dense_only or layer.uses == 1 else "direct"
    return Network(module, parameters, watch.layers, len(inputs), watch.piecewise_linear, same_function, watch.random)


def check_tensors(module: nn.Module, parameters: list[nn.Parameter], inputs: torch.Tensor) -> None:
    """Check that there are finite parameters and that they and the inputs are of one dtype on one device.

    Raises:
        InputError: Naming the tensor or the mode of PyTorch that does not fit.
    """
    if not isinstance(inputs, torch.Tensor):
        raise InputError(f"the inputs are a {type(inputs).__name__}; give a tensor, batch first")
    if not parameters:
        raise InputError("the model has no trainable parameters, so no Hessian; set requires_grad of some")
    first = parameters[0]
    if first.dtype not in (torch.float32, torch.float64):
        raise InputError(f"the parameters are of {first.dtype}; use float32 or float64")
    if inputs.ndim == 0 or len(inputs) == 0:
        raise InputError(f"the inputs have shape {tuple(inputs.shape)}; give at least one sample, batch first")
    if torch.is_inference_mode_enabled():
        raise InputError("inference mode is on, in which nothing has derivatives; use torch.no_grad() instead")
    if torch.is_autocast_enabled(first.device.type):
        raise InputError("autocast is on, and a Hessian of rounded activations is of no use; leave autocast")
    for name, tensor in [*module.named_parameters(), ("the inputs", inputs)]:
        if is_lazy(tensor):
            raise InputError(f"{name}: is not initialised; run the model once before")
        if tensor.is_floating_point() and tensor.dtype != first.dtype:
            raise InputError(f"{name}: is of {tensor.dtype} and other parameters of {first.dtype}; use one dtype")
        if tensor.device != first.device:
            raise InputError(f"{name}: lies on {tensor.device} and other parameters on {first.device}; use one device")
        if isinstance(tensor, nn.Parameter) and tensor.numel() and not torch.isfinite(_largest(tensor)):
            raise InputError(f"{name}: has entries that are not finite, so there is no Hessian")


def _largest(tensor: torch.Tensor) -> torch.Tensor:
    """Return the largest magnitude, or NaN where an entry is; faster than a look at each entry."""
    largest: torch.Tensor = torch.linalg.vector_norm(tensor.detach(), torch.inf)
    return largest


def is_out_of_memory(error: Exception) -> bool:
    """Return whether an error says that memory ran out, rather than something about the model."""
    return isinstance(error, torch.OutOfMemoryError) or "not enough memory" in str(error)


def call_name(function: Any) -> str:
    """Return the name of a function of torch."""
    return str(getattr(function, "__name__", function))


class _Watch(TorchFunctionMode):
    """Finds the layers while a forward pass runs."""

    def __init__(
        self, module: nn.Module, parameters: list[nn.Parameter], batch_size: int, *, randomness_is_fixed: bool
    ) -> None:
        super().__init__()
        self.layers: list[Layer] = []
        self.piecewise_linear = True
        self.random = False
        self._batch_size = batch_size
        self._randomness_is_fixed = randomness_is_fixed
        self.names = ModuleNames(module)
        owners = {
            id(parameter): f"{name.rpartition('.')[0] or type(module).__name__}"
            for name, parameter in module.named_parameters()
        }
        self.owners = {id(parameter): owners[id(parameter)] for parameter in parameters}
        self._constants = {id(tensor) for tensor in (*module.parameters(), *module.buffers())}
        self._layer_of: dict[int, Layer] = {}

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        self._refuse_what_is_no_function_of_one_sample(func, args, kwargs)
        result = func(*args, **kwargs)
        tracked = [value for value in tree_leaves((args, kwargs)) if id(value) in self.owners]
        if tracked:
            self._note(func, args, kwargs, tracked, result)
        elif any(isinstance(value, torch.Tensor) for value in tree_leaves(result)):
            self._note_linearity(func, args, kwargs)
        return result

    def _note_linearity(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        others = tree_leaves((args[1:], {name: value for name, value in kwargs.items() if name != "input"}))
        computed = any(isinstance(value, torch.Tensor) and id(value) not in self._constants for value in others)
        bilinear = computed and (func in _PARAMETRIC or func is functional.linear)
        self.piecewise_linear &= call_name(func) in _PIECEWISE_LINEAR and not bilinear

    def _refuse_what_is_no_function_of_one_sample(self, func: Any, args: Any, kwargs: Any) -> None:
        if func is functional.batch_norm:
            training = kwargs.get("training", args[5] if len(args) > 5 else False)
            if training:
                raise CapabilityError(
                    f"module {self._where()!r}: batch_norm in training mode, or without running statistics, couples "
                    "the samples of a batch; call model.eval()"
                )
        if func in _DROPOUT:
            training = kwargs.get("training", args[2] if len(args) > 2 else True)
            rate = kwargs.get("p", args[1] if len(args) > 1 else 0.5)
            self.random |= bool(training and rate > 0)
            if self.random and not self._randomness_is_fixed:
                raise CapabilityError(
                    f"module {self._where()!r}: {call_name(func)} in training mode is another function each time; call "
                    "model.eval()"
                )

    def _where(self) -> str:
        return self.names.current or "the model"

    def _note(self, func: Any, args: Any, kwargs: Any, tracked: list[nn.Parameter], result: Any) -> None:
        if func is functional.linear:
            self._note_linear(args, kwargs, result)
            self._note_linearity(func, args, kwargs)
            return
        if func in _PARAMETRIC:
            given = args[0] if args else kwargs["input"]
            self._refuse_parameter_as_input(func, given)
            weight, bias = (
                [value for value in (args[1:] + tuple(kwargs.values())) if id(value) in self.owners] + [None]
            )[:2]
            layer = self._layer(func, weight, bias)
            layer.uses += 1
            per_output = weight[0].numel() if call_name(func).startswith("conv") else 1
            layer.multiplications += result[0].numel() * per_output
            self._check_batch(layer, given)
            self._note_linearity(func, args, kwargs)
            return
        reads = call_name(func) in _READS_VALUES
        if reads or any(isinstance(value, torch.Tensor) for value in tree_leaves(result)):
            raise CapabilityError(
                f"module {self.owners[id(tracked[0])]!r}: its parameter of shape {tuple(tracked[0].shape)} is used by "
                f"{call_name(func)} in {self._where()!r}, which the closed form does not know; use the parameters of "
                "linear and convolutional layers in those layers alone"
            )

    def _note_linear(self, args: Any, kwargs: Any, result: torch.Tensor) -> None:
        given, weight, bias = linear_arguments(args, kwargs)
        self._refuse_parameter_as_input(functional.linear, given)
        if result.dtype != weight.dtype:
            raise CapabilityError(
                f"module {self._where()!r}: a linear map of {weight.dtype} returns {result.dtype}; leave autocast"
            )
        layer = self._layer(functional.linear, self._trained(weight), self._trained(bias))
        self._check_batch(layer, given)
        layer.output_features, layer.input_features = result.shape[-1], given.shape[-1]
        layer.uses += math.prod(given.shape[1:-1])
        layer.multiplications += result[0].numel() * given.shape[-1]

    def _refuse_parameter_as_input(self, func: Any, given: Any) -> None:
        if id(given) in self.owners:
            raise CapabilityError(f"module {self.owners[id(given)]!r}: its parameter is the input of {call_name(func)}")

    def _trained(self, tensor: torch.Tensor | None) -> nn.Parameter | None:
        return tensor if isinstance(tensor, nn.Parameter) and id(tensor) in self.owners else None

    def _check_batch(self, layer: Layer, given: torch.Tensor) -> None:
        if given.ndim < 2 or given.shape[0] != self._batch_size:
            raise CapabilityError(
                f"module {layer.name!r}: its input has shape {tuple(given.shape)}; its first dimension has to be the "
                f"batch of {self._batch_size} samples"
            )

    def _layer(self, func: Any, weight: nn.Parameter | None, bias: nn.Parameter | None) -> Layer:
        if weight is not None and weight is bias:
            raise CapabilityError(f"module {self._where()!r}: one parameter is its weight and its bias")
        known = {id(layer): layer for p in (weight, bias) if p is not None and (layer := self._layer_of.get(id(p)))}
        if not known:
            first = weight if weight is not None else bias
            layer = Layer(self.owners[id(first)], func, weight, bias)
            self.layers.append(layer)
            self._layer_of.update({id(parameter): layer for parameter in layer.parameters})
            return layer
        layer = next(iter(known.values()))
        if layer.function is not func or layer.weight is not weight or layer.bias is not bias:
            raise CapabilityError(
                f"module {layer.name!r}: it shares a parameter with {self._where()!r} in another combination of "
                "weight, bias and function, which the closed form does not know"
            )
        return layer


def linear_arguments(
    args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor | None]:
    """Return input, weight and bias of a call of ``torch.nn.functional.linear``."""
    names = ("input", "weight", "bias")
    given = {**dict(zip(names, args, strict=False)), **kwargs}
    return given["input"], given["weight"], given.get("bias")
