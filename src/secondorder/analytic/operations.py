"""Which functions of torch are linear maps, products, element-wise functions or selections.

A function that is neither here nor among the compositions is refused when it is met. Parameters have the names that
PyTorch gives them, so that calls by keyword arrive.
"""

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from torch.nn import functional

from secondorder.analytic import elementwise
from secondorder.analytic.elementwise import Elementwise, PiecewiseLinear
from secondorder.analytic.linear_maps import Selection
from secondorder.analytic.products import Convolution, ElementwiseProduct, LinearLayer, MatrixProduct

if TYPE_CHECKING:
    from secondorder.analytic.tracing import Recorder

Tensor = torch.Tensor
Number = int | float
_Operation = TypeVar("_Operation", bound=Callable[..., Any])


class NotAnalyticError(Exception):
    """An operation is called in a way that is not known to be analytic; the recorder adds where."""


PRIMITIVES: dict[Any, Callable[..., Any]] = {}
"""Functions that take the recorder first, and give it primitives."""

# Not torch.linalg, where functions of the same names are other ones: its norm is of a matrix, its diagonal the last.
_NAMESPACES = (torch, torch.Tensor, functional)


def functions_named(*names: str) -> list[Any]:
    """Return the functions of these names in torch, of tensors and in torch.nn.functional."""
    found = [found for name in names for space in _NAMESPACES if callable(found := getattr(space, name, None))]
    if not found:
        raise LookupError(f"torch has none of {names}")
    return found


def primitive(*functions: Any) -> Callable[[_Operation], _Operation]:
    """Enter an operation into the table of primitives, under functions or their names."""
    return entered(PRIMITIVES, functions)


def entered(table: dict[Any, Callable[..., Any]], functions: Sequence[Any]) -> Callable[[_Operation], _Operation]:
    """Return a decorator that enters an operation into a table, under functions or their names."""

    def enter(operation: _Operation) -> _Operation:
        for function in functions:
            for found in functions_named(function) if isinstance(function, str) else [function]:
                table[found] = operation
        return operation

    return enter


def constant(tensor: Tensor) -> Tensor:
    """Return a tensor's values, which do not depend on the parameters from here on."""
    with torch._C.DisableTorchFunction():
        return tensor.detach()


METADATA = {
    *functions_named("size", "dim", "ndimension", "numel", "nelement", "stride", "is_contiguous", "storage_offset"),
    *functions_named("is_floating_point", "is_complex", "element_size", "get_device", "is_signed"),
    *functions_named("is_tensor", "zeros_like", "ones_like", "empty_like", "full_like", "rand_like"),
    *functions_named(
        "randn_like", "new_zeros", "new_ones", "new_empty", "new_full", "new_tensor", "__len__", "__hash__"
    ),
    *(
        getattr(torch.Tensor, name).__get__
        for name in ("shape", "dtype", "device", "ndim", "layout", "requires_grad", "is_leaf", "grad_fn")
    ),
    *(getattr(torch.Tensor, name).__get__ for name in ("is_cuda", "is_cpu", "is_mps", "is_sparse", "is_quantized")),
    *(getattr(torch.Tensor, name).__get__ for name in ("is_nested", "is_meta", "itemsize", "nbytes")),
}
"""Functions that do not look at values."""


# Linear maps of one tensor: what they are called with besides is constant.


def _linear_in_first(name: str) -> Callable[..., Tensor]:
    method = getattr(torch.Tensor, name)

    def operation(record: "Recorder", input: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        return record.linear(lambda x: method(x, *args, **kwargs), input)

    return operation


for _name in (
    "reshape", "view", "flatten", "unflatten", "transpose", "permute", "squeeze", "unsqueeze", "expand", "contiguous",
    "clone", "t", "movedim", "moveaxis", "swapaxes", "swapdims", "flip", "roll", "repeat", "tile", "narrow", "select",
    "diagonal", "tril", "triu", "cumsum", "neg", "negative", "positive", "repeat_interleave", "index_select", "gather",
    "ravel", "broadcast_to", "trace", "__getitem__", "reshape_as", "view_as", "expand_as", "sum", "mean",
    "to", "type_as", "float", "double",
):  # fmt: skip
    primitive(_name)(_linear_in_first(_name))


def _linear_function(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    def operation(record: "Recorder", input: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        return record.linear(lambda x: function(x, *args, **kwargs), input)

    return operation


for _name in (
    "avg_pool1d", "avg_pool2d", "avg_pool3d", "adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_avg_pool3d",
    "pixel_shuffle", "pixel_unshuffle", "channel_shuffle", "upsample", "interpolate",
):  # fmt: skip
    primitive(getattr(functional, _name))(_linear_function(getattr(functional, _name)))


@primitive(torch.Tensor.T.__get__)  # type: ignore[attr-defined]
def _reversed(record: "Recorder", input: Tensor) -> Tensor:
    return record.linear(lambda x: x.permute(*reversed(range(x.ndim))), input)


@primitive(torch.Tensor.mT.__get__)  # type: ignore[attr-defined]
def _transposed(record: "Recorder", input: Tensor) -> Tensor:
    return record.linear(lambda x: x.transpose(-2, -1), input)


@primitive("cat", "concat", "concatenate")
def _concatenate(record: "Recorder", tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    return record.linear(lambda *parts: torch.cat(parts, dim), *tensors)


@primitive("stack")
def _stack(record: "Recorder", tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    return record.linear(lambda *parts: torch.stack(parts, dim), *tensors)


@primitive(functional.pad)
def _pad(
    record: "Recorder", input: Tensor, pad: Sequence[int], mode: str = "constant", value: float | None = None
) -> Tensor:
    offset = functional.pad(torch.zeros_like(constant(input)), pad, mode, value) if value else None
    return record.linear(lambda x: functional.pad(x, pad, mode), input, offset=offset)


@primitive("masked_fill")
def _masked_fill(record: "Recorder", input: Tensor, mask: Tensor, value: Any) -> Tensor:
    if isinstance(value, Tensor) and record.is_tracked(value):
        raise NotAnalyticError("masked_fill with a value that depends on the parameters is not known; use torch.where")
    offset = torch.zeros_like(constant(input)).masked_fill(mask, value)
    return record.linear(lambda x: x.masked_fill(mask, 0), input, offset=offset)


@primitive(torch.where)
def _where(record: "Recorder", condition: Tensor, input: Any, other: Any) -> Tensor:
    like = next(part for part in (input, other) if isinstance(part, Tensor) and part.is_floating_point())
    a, b = (part if isinstance(part, Tensor) else like.new_tensor(part) for part in (input, other))
    return record.linear(lambda x, y: torch.where(condition, x, y), a, b)


@primitive(torch.Tensor.where)
def _where_of_tensor(record: "Recorder", input: Tensor, condition: Tensor, other: Any) -> Tensor:
    return _where(record, condition, input, other)


def _pieces(name: str) -> Callable[..., tuple[Tensor, ...]]:
    method = getattr(torch.Tensor, name)

    def operation(record: "Recorder", input: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, ...]:
        count = len(method(constant(input), *args, **kwargs))
        return tuple(record.linear(lambda x, k=k: method(x, *args, **kwargs)[k], input) for k in range(count))

    return operation


for _name in ("split", "chunk", "unbind", "tensor_split", "split_with_sizes"):
    primitive(_name)(_pieces(_name))
primitive(torch.functional.split)(_pieces("split"))


@primitive(functional.embedding)
def _embedding(
    record: "Recorder",
    input: Tensor,
    weight: Tensor,
    padding_idx: int | None = None,
    max_norm: float | None = None,
    norm_type: float = 2.0,
    scale_grad_by_freq: bool = False,
    sparse: bool = False,
) -> Tensor:
    if max_norm is not None or scale_grad_by_freq or sparse or record.is_tracked(input):
        raise NotAnalyticError("embedding with max_norm, scale_grad_by_freq or sparse is not known; leave them out")
    if padding_idx is None:
        return record.linear(lambda w: functional.embedding(input, w), weight)
    # PyTorch's gradient leaves the padding row out: it is a constant.
    trained = torch.ones(len(weight), 1, dtype=weight.dtype, device=weight.device)
    trained[padding_idx] = 0
    offset = functional.embedding(input, constant(weight) * (1 - trained))
    return record.linear(lambda w: functional.embedding(input, w * trained), weight, offset=offset)


# Sums and differences


@primitive("add", "__add__", "__radd__")
def _add(record: "Recorder", input: Any, other: Any, *, alpha: Number = 1) -> Tensor:
    if not isinstance(other, Tensor):
        return record.linear(lambda x: x.view_as(x), input, offset=alpha * other)
    if not isinstance(input, Tensor):
        return record.linear(lambda y: alpha * y, other, offset=input)
    return record.linear(lambda x, y: torch.add(x, y, alpha=alpha), input, other)


@primitive("sub", "subtract", "__sub__")
def _subtract(record: "Recorder", input: Any, other: Any, *, alpha: Number = 1) -> Tensor:
    if not isinstance(other, Tensor):
        return record.linear(lambda x: x.view_as(x), input, offset=-alpha * other)
    if not isinstance(input, Tensor):
        return record.linear(lambda y: -alpha * y, other, offset=input)
    return record.linear(lambda x, y: torch.sub(x, y, alpha=alpha), input, other)


@primitive("__rsub__", torch.rsub)
def _subtract_from(record: "Recorder", input: Any, other: Any, *, alpha: Number = 1) -> Tensor:
    return _subtract(record, other, input, alpha=alpha)


# Products


@primitive("mul", "multiply", "__mul__", "__rmul__")
def _multiply(record: "Recorder", input: Any, other: Any) -> Tensor:
    if not isinstance(other, Tensor):
        return record.linear(lambda x: x * other, input)
    if not isinstance(input, Tensor):
        return record.linear(lambda x: x * input, other)
    return record.product(ElementwiseProduct(input.shape, other.shape), input, other)


@primitive("square")
def _square(record: "Recorder", input: Tensor) -> Tensor:
    return _multiply(record, input, input)


@primitive("reciprocal")
def _reciprocal(record: "Recorder", input: Tensor) -> Tensor:
    return record.elementwise(elementwise.Power(-1.0), input)


@primitive("div", "divide", "true_divide", "__truediv__")
def _divide(record: "Recorder", input: Any, other: Any, *, rounding_mode: str | None = None) -> Tensor:
    if rounding_mode is not None:
        raise NotAnalyticError(f"division with rounding_mode {rounding_mode!r} is not analytic; leave it out")
    if not record.is_tracked(other):
        return record.linear(lambda x: x / other, input)
    return _multiply(record, _reciprocal(record, other), input)


@primitive("__rtruediv__", "__rdiv__")
def _divide_by(record: "Recorder", input: Any, other: Any) -> Tensor:
    return _divide(record, other, input)


@primitive(functional.linear)
def _linear(record: "Recorder", input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    if weight.ndim == 1:
        raise NotAnalyticError("linear with a weight of one dimension is not known; use one of two dimensions")
    if not record.is_tracked(input) and not record.is_tracked(weight):
        return _add(record, functional.linear(input, weight), bias)
    return record.product(LinearLayer(None if bias is None else bias.shape), input, weight, bias)


@primitive("matmul", "__matmul__", "mm", "bmm", "mv", "dot", torch.linalg.matmul)
def _matmul(record: "Recorder", input: Tensor, other: Tensor) -> Tensor:
    a = _unsqueezed(record, input, 0) if input.ndim == 1 else input
    b = _unsqueezed(record, other, 1) if other.ndim == 1 else other
    product = record.product(MatrixProduct(a.shape, b.shape), a, b)
    shape = torch.matmul(constant(input), constant(other)).shape
    return product if product.shape == shape else record.linear(lambda x: x.reshape(shape), product)


@primitive("inner")
def _inner(record: "Recorder", input: Tensor, other: Tensor) -> Tensor:
    if other.ndim > 2:
        raise NotAnalyticError("inner with a second tensor of more than two dimensions is not known; use matmul")
    if other.ndim == 0 or input.ndim == 0:
        return _multiply(record, input, other)
    if other.ndim == 1:
        return _matmul(record, input, other)
    if not record.is_tracked(other):
        return _matmul(record, input, other.mT)
    return _matmul(record, input, record.linear(lambda x: x.mT, other))


def _unsqueezed(record: "Recorder", tensor: Tensor, dim: int) -> Tensor:
    if not record.is_tracked(tensor):
        return tensor.unsqueeze(dim)
    return record.linear(lambda x: x.unsqueeze(dim), tensor)


def _each(value: int | Sequence[int], dimensions: int) -> list[int]:
    values = [value] if isinstance(value, int) else list(value)
    return values * dimensions if len(values) == 1 else values


def _convolution(dimensions: int) -> Callable[..., Tensor]:
    def operation(
        record: "Recorder",
        input: Tensor,
        weight: Tensor,
        bias: Tensor | None = None,
        stride: int | Sequence[int] = 1,
        padding: int | Sequence[int] | str = 0,
        dilation: int | Sequence[int] = 1,
        groups: int = 1,
    ) -> Tensor:
        if input.ndim == dimensions + 1:
            one = operation(record, _unsqueezed(record, input, 0), weight, bias, stride, padding, dilation, groups)
            return record.linear(lambda x: x.squeeze(0), one)
        dilation = _each(dilation, dimensions)
        if isinstance(padding, str):
            spans = [d * (k - 1) for d, k in zip(dilation, weight.shape[2:], strict=True)]
            spans = spans if padding == "same" else [0] * dimensions
            if any(span % 2 for span in spans):
                sides = [side for span in reversed(spans) for side in (span // 2, span - span // 2)]
                input = _padded(record, input, sides)
                spans = [0] * dimensions
            padding = [span // 2 for span in spans]
        kind = Convolution(
            input.shape, weight.shape, _each(stride, dimensions), _each(padding, dimensions), dilation, groups
        )
        return record.product(kind, input, weight, bias)

    return operation


def _padded(record: "Recorder", tensor: Tensor, sides: list[int]) -> Tensor:
    if not record.is_tracked(tensor):
        return functional.pad(tensor, sides)
    return record.linear(lambda x: functional.pad(x, sides), tensor)


def _transposed_convolution(dimensions: int) -> Callable[..., Tensor]:
    def operation(
        record: "Recorder",
        input: Tensor,
        weight: Tensor,
        bias: Tensor | None = None,
        stride: int | Sequence[int] = 1,
        padding: int | Sequence[int] = 0,
        output_padding: int | Sequence[int] = 0,
        groups: int = 1,
        dilation: int | Sequence[int] = 1,
    ) -> Tensor:
        if input.ndim == dimensions + 1:
            one = operation(
                record, _unsqueezed(record, input, 0), weight, bias, stride, padding, output_padding, groups, dilation
            )
            return record.linear(lambda x: x.squeeze(0), one)
        kind = Convolution(
            input.shape,
            weight.shape,
            _each(stride, dimensions),
            _each(padding, dimensions),
            _each(dilation, dimensions),
            groups,
            transposed=True,
            output_padding=_each(output_padding, dimensions),
        )
        return record.product(kind, input, weight, bias)

    return operation


for _dimensions in (1, 2, 3):
    primitive(f"conv{_dimensions}d")(_convolution(_dimensions))
    primitive(f"conv_transpose{_dimensions}d")(_transposed_convolution(_dimensions))


# Element-wise functions


def _elementwise(function: Elementwise) -> Callable[..., Tensor]:
    def operation(record: "Recorder", input: Tensor) -> Tensor:
        return record.elementwise(function, input)

    return operation


for _name, _function in {
    "exp": elementwise.Exponential(),
    "expm1": elementwise.ExponentialMinusOne(),
    "log": elementwise.Logarithm(),
    "log1p": elementwise.LogarithmOfOnePlus(),
    "sqrt": elementwise.Power(0.5),
    "rsqrt": elementwise.Power(-0.5),
    "tanh": elementwise.HyperbolicTangent(),
    "sigmoid": elementwise.Sigmoid(),
    "sin": elementwise.Sine(),
    "cos": elementwise.Cosine(),
    "erf": elementwise.ErrorFunction(),
}.items():
    primitive(_name)(_elementwise(_function))
primitive("abs", "absolute", "__abs__")(_elementwise(PiecewiseLinear(torch.abs, torch.sign)))
primitive(torch.special.expit)(_elementwise(elementwise.Sigmoid()))
primitive(torch.special.expm1)(_elementwise(elementwise.ExponentialMinusOne()))
primitive(torch.special.log1p)(_elementwise(elementwise.LogarithmOfOnePlus()))
primitive(torch.special.erf)(_elementwise(elementwise.ErrorFunction()))


def _is_positive(x: Tensor) -> Tensor:
    return x > 0


@primitive("relu")
def _relu(record: "Recorder", input: Tensor, inplace: bool = False) -> Tensor:
    return record.elementwise(PiecewiseLinear(torch.relu, _is_positive), input)


@primitive("leaky_relu")
def _leaky_relu(record: "Recorder", input: Tensor, negative_slope: float = 0.01, inplace: bool = False) -> Tensor:
    def slope(x: Tensor) -> Tensor:
        return torch.where(x > 0, x.new_ones(()), negative_slope)

    return record.elementwise(PiecewiseLinear(lambda x: functional.leaky_relu(x, negative_slope), slope), input)


@primitive("elu")
def _elu(record: "Recorder", input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    return record.elementwise(elementwise.ExponentialLinearUnit(alpha), input)


@primitive("celu")
def _celu(record: "Recorder", input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    if alpha <= 0:
        raise NotAnalyticError(f"celu with alpha {alpha:g} is not known; use one above 0")
    return record.elementwise(elementwise.ExponentialLinearUnit(alpha, alpha), input)


@primitive("threshold")
def _threshold(record: "Recorder", input: Tensor, threshold: float, value: float, inplace: bool = False) -> Tensor:
    function = PiecewiseLinear(lambda x: functional.threshold(x, threshold, value), lambda x: x > threshold)
    return record.elementwise(function, input)


@primitive("hardtanh")
def _hardtanh(
    record: "Recorder", input: Tensor, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False
) -> Tensor:
    function = PiecewiseLinear(lambda x: x.clamp(min_val, max_val), lambda x: (x > min_val) & (x < max_val))
    return record.elementwise(function, input)


@primitive("relu6")
def _relu6(record: "Recorder", input: Tensor, inplace: bool = False) -> Tensor:
    return _hardtanh(record, input, 0.0, 6.0)


@primitive("hardshrink")
def _hardshrink(record: "Recorder", input: Tensor, lambd: float = 0.5) -> Tensor:
    function = PiecewiseLinear(lambda x: functional.hardshrink(x, lambd), lambda x: x.abs() > lambd)
    return record.elementwise(function, input)


@primitive("softshrink")
def _softshrink(record: "Recorder", input: Tensor, lambd: float = 0.5) -> Tensor:
    function = PiecewiseLinear(lambda x: functional.softshrink(x, lambd), lambda x: x.abs() > lambd)
    return record.elementwise(function, input)


@primitive("clamp", "clip")
def _clamp(record: "Recorder", input: Tensor, min: Number | None = None, max: Number | None = None) -> Tensor:
    low, high = (-math.inf if min is None else min), (math.inf if max is None else max)
    if not all(isinstance(bound, Number) for bound in (low, high)):
        raise NotAnalyticError("clamp with a tensor as its bound is not known; use numbers")
    return record.elementwise(PiecewiseLinear(lambda x: x.clamp(low, high), lambda x: (x >= low) & (x <= high)), input)


@primitive("clamp_min")
def _clamp_min(record: "Recorder", input: Tensor, min: Number) -> Tensor:
    return _clamp(record, input, min=min)


@primitive("clamp_max")
def _clamp_max(record: "Recorder", input: Tensor, max: Number) -> Tensor:
    return _clamp(record, input, max=max)


@primitive("softplus")
def _softplus(record: "Recorder", input: Tensor, beta: float = 1.0, threshold: float = 20.0) -> Tensor:
    scaled = input if beta == 1 else record.linear(lambda x: beta * x, input)
    result = record.elementwise(elementwise.Softplus(threshold), scaled)
    return result if beta == 1 else record.linear(lambda x: x / beta, result)


@primitive("pow", "__pow__", "float_power")
def _power(record: "Recorder", input: Tensor, exponent: Any) -> Tensor:
    if not isinstance(exponent, int | float):
        raise NotAnalyticError("pow with a tensor as its exponent is not known; use a number, or exp and log")
    if exponent != int(exponent):
        return record.elementwise(elementwise.Power(float(exponent)), input)
    if exponent == 0:
        return torch.ones_like(constant(input))
    result = _integer_power(record, input, abs(int(exponent)))
    return result if exponent > 0 else _reciprocal(record, result)


def _integer_power(record: "Recorder", base: Tensor, exponent: int) -> Tensor:
    """Return a power by repeated squaring."""
    if exponent == 1:
        return record.linear(lambda x: x.view_as(x), base)
    half = _integer_power(record, base, exponent // 2)
    square = _multiply(record, half, half)
    return _multiply(record, square, base) if exponent % 2 else square


# Selections


def _max_pool(dimensions: int, *, adaptive: bool = False) -> Callable[..., Any]:
    name = f"{'adaptive_' if adaptive else ''}max_pool{dimensions}d"
    pool = getattr(functional, f"{name}_with_indices")

    def operation(record: "Recorder", input: Tensor, *args: Any, return_indices: bool = False, **kwargs: Any) -> Any:
        def choose(x: Tensor) -> Tensor:
            indices: Tensor = pool(x, *args, **kwargs)[1]
            return indices

        values = record.selection(Selection(choose, dimensions), input)
        return (values, choose(constant(input))) if return_indices else values

    return operation


for _dimensions in (1, 2, 3):
    for _adaptive in (False, True):
        _name = f"{'adaptive_' if _adaptive else ''}max_pool{_dimensions}d"
        for _pool in (f"{_name}_with_indices", _name):
            primitive(getattr(functional, _pool))(_max_pool(_dimensions, adaptive=_adaptive))


def _extreme(largest: bool) -> Callable[..., Any]:
    pick = torch.argmax if largest else torch.argmin

    def operation(record: "Recorder", input: Tensor, dim: int | None = None, keepdim: bool = False) -> Any:
        if isinstance(dim, Tensor):
            raise NotAnalyticError("max and min of two tensors are not known; use a sum with relu of their difference")
        if dim is None:
            values = constant(input)
            if (values == values.flatten()[pick(values)]).sum() > 1:
                raise NotAnalyticError("max and min of a tensor with equal extremes have no derivative; use dim")
            return record.selection(Selection(lambda x: pick(x).reshape([]), input.ndim), input)
        moved = record.linear(lambda x: x.movedim(dim, -1), input)
        values = record.selection(Selection(lambda x: pick(x, -1, keepdim=True), 1), moved)
        shape = values.shape
        indices = pick(constant(input), dim, keepdim=keepdim)
        back = (lambda x: x.movedim(-1, dim)) if keepdim else (lambda x: x.reshape(shape[:-1]))
        return (torch.return_types.max if largest else torch.return_types.min)((record.linear(back, values), indices))

    return operation


primitive("max")(_extreme(largest=True))
primitive("min")(_extreme(largest=False))


# Dropout: a linear map once its mask is drawn.


def _dropout(name: str) -> Callable[..., Tensor]:
    drop = getattr(functional, name)

    def operation(
        record: "Recorder", input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False
    ) -> Tensor:
        if not training or p == 0:
            return input
        mask = drop(torch.ones_like(constant(input)), p, training=True)
        return _multiply(record, input, mask)

    return operation


for _name in ("dropout", "dropout1d", "dropout2d", "dropout3d"):
    primitive(getattr(functional, _name))(_dropout(_name))


PRODUCTS = {
    *functions_named(
        "mul", "multiply", "__mul__", "__rmul__", "matmul", "__matmul__", "mm", "bmm", "mv", "dot", "inner"
    ),
    *functions_named(*(f"conv{kind}{d}d" for kind in ("", "_transpose") for d in (1, 2, 3))),
    functional.linear,
    torch.linalg.matmul,
}
"""Functions whose constants may be as large as a batch, and are not copied."""
