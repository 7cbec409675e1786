"""Recording of a tape from one evaluation of an unmodified module and its loss."""

import inspect
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.overrides import TorchFunctionMode, resolve_name
from torch.utils._pytree import tree_leaves, tree_map

from secondorder.analytic.compositions import COMPOSITIONS, IN_PLACE
from secondorder.analytic.elementwise import Elementwise
from secondorder.analytic.linear_maps import LinearMap, Selection
from secondorder.analytic.module_names import ModuleNames
from secondorder.analytic.operations import METADATA, PRIMITIVES, PRODUCTS, NotAnalyticError
from secondorder.analytic.products import Product
from secondorder.analytic.tape import Argument, Primitive, Step, Tape, without_unused
from secondorder.errors import CapabilityError

# Given as None by PyTorch itself; with a value they are refused like every argument that is not known.
_WITHOUT_EFFECT = {"size_average", "reduce", "dtype", "out"}


def record(module: nn.Module, parameters: Sequence[nn.Parameter], evaluate: Callable[[], torch.Tensor]) -> Tape:
    """Return the tape of a loss.

    Args:
        module: The network, for the names of its modules.
        parameters: What the loss is a function of.
        evaluate: Returns the loss, and evaluates the module within the call; all else that it uses is constant.

    Raises:
        CapabilityError: A function that depends on the parameters is not known to be analytic, or is used in a way that
            hides it; names the function and the module that calls it.
    """
    recorder = Recorder(module, parameters)
    with torch.enable_grad(), recorder.names.watched(), recorder:
        loss = evaluate()
    return recorder.tape(loss)


class Recorder(TorchFunctionMode):
    """Replaces each function of a tensor that depends on the parameters by primitives, and keeps them.

    The tensors that it hands to the network are leaves that require gradients. So a tensor with a graph has been made
    from them in a way that was not seen.

    Args:
        module: The network.
        parameters: The parameters.
    """

    def __init__(self, module: nn.Module, parameters: Sequence[nn.Parameter]) -> None:
        super().__init__()
        self.names = ModuleNames(module)
        self._parameters = parameters
        # Copies: what is computed from the tape stays at this point when the parameters move on.
        self._values = [parameter.detach().clone() for parameter in parameters]
        self._numbers = {id(parameter): number for number, parameter in enumerate(parameters)}
        self._handed: list[torch.Tensor] = list(parameters)
        self._constants: list[tuple[torch.Tensor, int, str]] = []
        self._steps: list[Step] = []

    def __torch_function__(  # noqa: D105
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor)]
        for tensor in tensors:
            self._refuse_unseen(func, tensor)
        tracked = [tensor for tensor in tensors if self.is_tracked(tensor)]
        # Behind the first argument a tensor would be read: new_full(shape, value).
        if not tracked or (func in METADATA and len(tracked) == 1 and tracked[0] is _first(args, kwargs)):
            return func(*args, **kwargs)
        if not torch.is_grad_enabled():
            raise self._error(
                func,
                "works on what depends on the parameters where gradients are off: in a torch.no_grad block or inside a "
                "custom autograd.Function, whose derivatives cannot be seen; use functions of torch, with gradients on",
            )
        if func in IN_PLACE:
            return self._in_place(func, args, kwargs)
        result = self._operate(func, args, kwargs)
        return self._overwrite(func, _first(args, kwargs), result) if kwargs.get("inplace") else result

    def _operate(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        primitive = func in PRIMITIVES
        operation = PRIMITIVES.get(func) or COMPOSITIONS.get(func)
        if operation is None:
            raise self._error(func, "is not known to be analytic; use other functions, or the method 'double_backward'")
        if kwargs.get("out") is not None:
            raise self._error(func, "writes into the tensor of its keyword 'out'; leave it out")
        if primitive:
            args, kwargs = self._frozen((args, kwargs), tensors=func not in PRODUCTS)
        given = (self, *args) if primitive else args
        kwargs = {name: value for name, value in kwargs.items() if name not in _WITHOUT_EFFECT or value is not None}
        kwargs.pop("_stacklevel", None)
        try:
            inspect.signature(operation).bind(*given, **kwargs)
        except TypeError as error:
            raise self._error(func, f"is not known with these arguments ({error})") from error
        # What a composition calls is recorded in its turn.
        try:
            with nullcontext() if primitive else self:
                return operation(*given, **kwargs)
        except NotAnalyticError as error:
            raise CapabilityError(f"{self._where()}: {error}") from error

    def _frozen(self, arguments: Any, *, tensors: bool) -> Any:
        """Return arguments whose later changes do not reach what is recorded; products watch their tensors instead."""

        def copied(leaf: object) -> object:
            if isinstance(leaf, np.ndarray):
                return leaf.copy()
            if tensors and isinstance(leaf, torch.Tensor) and not self.is_tracked(leaf):
                return leaf.clone()
            if isinstance(leaf, slice):
                return slice(*(copied(bound) for bound in (leaf.start, leaf.stop, leaf.step)))
            return leaf

        with torch._C.DisableTorchFunction():
            return tree_map(copied, arguments)

    def is_tracked(self, value: object) -> bool:
        """Return whether a tensor depends on the parameters."""
        return id(value) in self._numbers

    def linear(
        self,
        function: Callable[..., torch.Tensor],
        *arguments: torch.Tensor,
        offset: torch.Tensor | float | None = None,
    ) -> torch.Tensor:
        """Return A(x₁, x₂, …) + c; arguments that are constant become a part of c."""
        moving = [argument for argument in arguments if self.is_tracked(argument)]
        if len(moving) == len(arguments):
            return self._step(LinearMap(function, [self._value(a) for a in moving], offset), moving)
        fixed = [None if self.is_tracked(argument) else argument for argument in arguments]
        nothing = [torch.zeros_like(argument) for argument in fixed if argument is not None]

        def of_moving(*given: torch.Tensor) -> torch.Tensor:
            from_given, from_nothing = iter(given), iter(nothing)
            return function(*(next(from_given if part is None else from_nothing) for part in fixed))

        values = [self._value(argument) for argument in moving]
        with torch.no_grad():
            still = [
                torch.zeros_like(self._value(argument)) if part is None else part
                for argument, part in zip(arguments, fixed, strict=True)
            ]
            constant = function(*still)
            constant = constant if offset is None else constant + offset
        return self._step(LinearMap(of_moving, values, constant), moving)

    def product(
        self, kind: Product, a: torch.Tensor, b: torch.Tensor, bias: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Return B(a, b) + bias."""
        return self._step(kind, [a, b, bias])

    def elementwise(self, function: Elementwise, argument: torch.Tensor) -> torch.Tensor:
        """Return f of each entry."""
        return self._step(function, [argument])

    def selection(self, selection: Selection, argument: torch.Tensor) -> torch.Tensor:
        """Return the entries that are selected."""
        return self._step(selection, [argument])

    def tape(self, loss: torch.Tensor) -> Tape:
        """Return the tape that ends in a loss.

        Raises:
            CapabilityError: A constant of it has been changed in place since it was used.
        """
        for constant, version, where in self._constants:
            if constant._version != version:
                raise CapabilityError(
                    f"{where}: a tensor of shape {tuple(constant.shape)} is used and changed in place afterwards; "
                    "change a copy of it"
                )
        self._refuse_unseen(torch.Tensor.backward, loss)
        number = self._numbers.get(id(loss))
        return Tape(
            without_unused(self._steps, number),
            self._values,
            len(self._parameters),
            number,
            loss.detach().clone(),
            [(constant, version) for constant, version, _ in self._constants],
        )

    def _step(self, primitive: Primitive, arguments: Sequence[torch.Tensor | None]) -> torch.Tensor:
        values = [self._value(argument) for argument in arguments if argument is not None]
        with torch.no_grad(), torch._C.DisableTorchFunction():
            linear = primitive.at(values[0]) if isinstance(primitive, Selection) else primitive
            result = linear.value(*values)
            if result.dtype != values[0].dtype:
                raise self._error(
                    type(primitive), f"changes {values[0].dtype} to {result.dtype}; use one dtype from inputs to loss"
                )
            handed = result.detach().requires_grad_()
        step = Step(primitive, tuple(self._argument(argument) for argument in arguments), len(self._values))
        self._steps.append(step)
        self._values.append(result)
        self._hand_out(handed, step.result)
        return handed

    def _argument(self, argument: torch.Tensor | None) -> Argument:
        if argument is None:
            return None
        if id(argument) in self._numbers:
            return self._numbers[id(argument)]
        self._constants.append((argument, argument._version, self._where()))
        return argument.detach()

    def _value(self, argument: torch.Tensor) -> torch.Tensor:
        return self._values[self._numbers[id(argument)]] if self.is_tracked(argument) else argument.detach()

    def _hand_out(self, tensor: torch.Tensor, number: int) -> None:
        self._numbers[id(tensor)] = number
        # As long as it is held, no other tensor can get its identity.
        self._handed.append(tensor)

    def _in_place(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> torch.Tensor:
        target = _first(args, kwargs)
        if not self.is_tracked(target):
            raise self._error(func, "writes what depends on the parameters into a constant; use torch.cat or addition")
        with self:
            result = IN_PLACE[func](*args, **kwargs)
        return self._overwrite(func, target, result)

    def _overwrite(self, func: Any, target: torch.Tensor, result: torch.Tensor) -> torch.Tensor:
        if result is target:
            return target
        with torch._C.DisableTorchFunction(), torch.no_grad():
            number = self._numbers[id(target)]
            kept = self._values[number]
            # After a change in place they are two, and views made since lie in that of the value.
            memories = {tensor.untyped_storage().data_ptr() for tensor in (target, kept)}
            shared = [
                value
                for other, value in enumerate(self._values)
                if other != number and value.untyped_storage().data_ptr() in memories
            ]
            if shared or number < len(self._parameters) or result.shape != target.shape:
                raise self._error(
                    func, "changes a tensor in place whose memory another one shares; use inplace=False or a copy"
                )
            self._values[number] = kept.clone()
            target.copy_(result)
            self._numbers[id(target)] = self._numbers[id(result)]
        return target

    def _refuse_unseen(self, func: Any, tensor: torch.Tensor) -> None:
        with torch._C.DisableTorchFunction():
            unseen = not self.is_tracked(tensor) and tensor.grad_fn is not None
        if unseen:
            raise self._error(
                func,
                "is given a tensor that was made by a function whose derivatives cannot be seen, such as a custom "
                "autograd.Function, or before the recording; use functions of torch within model and loss, detach what "
                "is constant, or use the method 'double_backward'",
            )

    def _where(self) -> str:
        name = self.names.current
        return "the loss" if name is None else f"module {name!r}"

    def _error(self, func: Any, problem: str) -> CapabilityError:
        name = resolve_name(func) or getattr(func, "__name__", str(func))
        name = name.removesuffix(".__get__").replace("torch.nn.functional", "functional")
        return CapabilityError(f"{self._where()}: {name} {problem}")


def _first(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    return args[0] if args else kwargs.get("input")
