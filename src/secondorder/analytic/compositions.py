"""Functions of torch that are composed of others, written in torch: the recorder sees what they call.

Parameters have the names that PyTorch gives them, so that calls by keyword arrive.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import torch
from torch.nn import functional

from secondorder.analytic.operations import NotAnalyticError, constant, entered, functions_named

Tensor = torch.Tensor
Dimensions = int | tuple[int, ...] | list[int] | None
_Operation = TypeVar("_Operation", bound=Callable[..., Any])

COMPOSITIONS: dict[Any, Callable[..., Any]] = {}
"""Functions of torch, and what computes them by others."""
IN_PLACE: dict[Any, Callable[..., Any]] = {}
"""Functions that change their first argument, and what it becomes."""


def composition(*functions: Any) -> Callable[[_Operation], _Operation]:
    """Enter an operation into the table, under functions or their names."""
    return entered(COMPOSITIONS, functions)


for _name in (
    "add", "sub", "mul", "div", "neg", "relu", "tanh", "sigmoid", "exp", "expm1", "log", "log1p", "sqrt", "rsqrt",
    "square", "reciprocal", "sin", "cos", "erf", "abs", "clamp", "clamp_min", "clamp_max", "pow", "masked_fill",
    "leaky_relu", "elu", "selu", "celu", "hardtanh", "threshold",
):  # fmt: skip
    _function = getattr(torch.Tensor, _name, None) or getattr(functional, _name)
    IN_PLACE.update(dict.fromkeys(functions_named(f"{_name}_"), _function))
IN_PLACE.update(
    {
        torch.Tensor.__iadd__: torch.add,
        torch.Tensor.__isub__: torch.sub,
        torch.Tensor.__imul__: torch.mul,
        torch.Tensor.__itruediv__: torch.div,
        torch.Tensor.__ipow__: torch.pow,
    }
)


# Activations


@composition(functional.logsigmoid)
def _logsigmoid(input: Tensor) -> Tensor:
    return -functional.softplus(-input, threshold=math.inf)


@composition(functional.gelu)
def _gelu(input: Tensor, approximate: str = "none") -> Tensor:
    if approximate == "none":
        return input * ((1 + torch.erf(input / math.sqrt(2))) / 2)
    return input * ((1 + torch.tanh(math.sqrt(2 / math.pi) * (input + 0.044715 * input**3))) / 2)


@composition(functional.silu)
def _silu(input: Tensor, inplace: bool = False) -> Tensor:
    return input * input.sigmoid()


@composition(functional.mish)
def _mish(input: Tensor, inplace: bool = False) -> Tensor:
    return input * functional.softplus(input, threshold=math.inf).tanh()


@composition("selu")
def _selu(input: Tensor, inplace: bool = False) -> Tensor:
    return 1.0507009873554804934193349852946 * functional.elu(input, 1.6732632423543772848170429916717)


@composition("prelu")
def _prelu(input: Tensor, weight: Tensor) -> Tensor:
    if input.ndim > 1 and weight.numel() > 1:
        weight = weight.reshape(1, -1, *[1] * (input.ndim - 2))
    return input.relu() + weight * input.clamp(max=0)


@composition(functional.softsign)
def _softsign(input: Tensor) -> Tensor:
    return input / (1 + input.abs())


@composition(functional.tanhshrink)
def _tanhshrink(input: Tensor) -> Tensor:
    return input - input.tanh()


@composition(functional.hardsigmoid)
def _hardsigmoid(input: Tensor, inplace: bool = False) -> Tensor:
    return functional.relu6(input + 3) / 6


@composition(functional.hardswish)
def _hardswish(input: Tensor, inplace: bool = False) -> Tensor:
    return input * (functional.relu6(input + 3) / 6)


@composition(functional.glu)
def _glu(input: Tensor, dim: int = -1) -> Tensor:
    values, gates = input.chunk(2, dim)
    return values * gates.sigmoid()


# Softmax and losses


@composition("log_softmax", torch.special.log_softmax)
def _log_softmax(input: Tensor, dim: int) -> Tensor:
    shifted = input - constant(input).amax(dim, keepdim=True)
    return shifted - shifted.exp().sum(dim, keepdim=True).log()


@composition("softmax", torch.special.softmax)
def _softmax(input: Tensor, dim: int) -> Tensor:
    return torch.log_softmax(input, dim).exp()


@composition("logsumexp", torch.special.logsumexp)
def _logsumexp(input: Tensor, dim: int, keepdim: bool = False) -> Tensor:
    largest = constant(input).amax(dim, keepdim=True)
    total = (input - largest).exp().sum(dim, keepdim=True).log() + largest
    return total if keepdim else total.squeeze(dim)


def _reduced(losses: Tensor, reduction: str) -> Tensor:
    if reduction == "mean":
        return losses.mean()
    return losses.sum() if reduction == "sum" else losses


def _along(weight: Tensor | None, input: Tensor, dim: int) -> Tensor | float:
    """Return class weights in a shape that broadcasts along a dimension; 1 where there are none."""
    if weight is None:
        return 1.0
    return weight.reshape([-1 if d == dim else 1 for d in range(input.ndim)])


def _weighted_classes(
    input: Tensor, target: Tensor, weight: Tensor | None, ignore_index: int, smoothing: float
) -> tuple[Tensor, Tensor]:
    """Return what each log-probability counts in each sample's loss, and what each sample counts in the mean."""
    dim = 0 if input.ndim == 1 else 1
    kept = target != ignore_index
    classes = input.shape[dim]
    hit = functional.one_hot(torch.where(kept, target, 0).long(), classes).movedim(-1, dim).to(input.dtype)
    hit = hit * kept.unsqueeze(dim)
    by_class = _along(weight, input, dim)
    hits = hit * by_class
    smooth = smoothing / classes * (kept.unsqueeze(dim) * torch.ones_like(hit) * by_class)
    return (1 - smoothing) * hits + smooth, hits.sum(dim)


def _weighted_mean(losses: Tensor, counts: Tensor, reduction: str) -> Tensor:
    return losses.sum() / counts.sum() if reduction == "mean" else _reduced(losses, reduction)


@composition(functional.cross_entropy)
def _cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    ignore_index: int = -100,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Tensor:
    dim = 0 if input.ndim == 1 else 1
    logarithms = functional.log_softmax(input, dim)
    if not target.is_floating_point():
        coefficients, counts = _weighted_classes(input, target, weight, ignore_index, label_smoothing)
        return _weighted_mean(-(logarithms * coefficients).sum(dim), counts, reduction)
    smooth = (1 - label_smoothing) * target + label_smoothing / input.shape[dim]
    return _reduced(-(logarithms * (smooth * _along(weight, input, dim))).sum(dim), reduction)


@composition(functional.nll_loss)
def _nll_loss(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    ignore_index: int = -100,
    reduction: str = "mean",
) -> Tensor:
    coefficients, counts = _weighted_classes(input, target, weight, ignore_index, 0.0)
    return _weighted_mean(-(input * coefficients).sum(0 if input.ndim == 1 else 1), counts, reduction)


@composition(functional.mse_loss)
def _mse_loss(
    input: Tensor,
    target: Tensor,
    reduction: str = "mean",
    weight: Tensor | None = None,
) -> Tensor:
    losses = (input - target).square()
    if weight is None:
        return _reduced(losses, reduction)
    return _weighted_mean(losses * weight, weight.expand(losses.shape), reduction)


@composition(functional.l1_loss)
def _l1_loss(
    input: Tensor,
    target: Tensor,
    reduction: str = "mean",
) -> Tensor:
    return _reduced((input - target).abs(), reduction)


@composition(functional.binary_cross_entropy_with_logits)
def _binary_cross_entropy_with_logits(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    reduction: str = "mean",
    pos_weight: Tensor | None = None,
) -> Tensor:
    positive = target if pos_weight is None else target * pos_weight
    losses = positive * functional.softplus(-input, threshold=math.inf) + (1 - target) * functional.softplus(
        input, threshold=math.inf
    )
    return _reduced(losses if weight is None else losses * weight, reduction)


# Normalisation and moments


def _count(input: Tensor, dim: Dimensions) -> int:
    dimensions = range(input.ndim) if dim is None else [dim] if isinstance(dim, int) else dim
    return math.prod(input.shape[d] for d in dimensions)


@composition("var")
def _variance(
    input: Tensor,
    dim: Dimensions = None,
    unbiased: bool = True,
    keepdim: bool = False,
    *,
    correction: float | None = None,
) -> Tensor:
    if isinstance(dim, bool):
        return _variance(input, unbiased=dim)
    dim = tuple(range(input.ndim)) if dim in (None, (), []) else dim
    divisor = _count(input, dim) - (float(unbiased) if correction is None else correction)
    return (input - input.mean(dim, keepdim=True)).square().sum(dim, keepdim=keepdim) / divisor


@composition("std")
def _deviation(
    input: Tensor,
    dim: Dimensions = None,
    unbiased: bool = True,
    keepdim: bool = False,
    *,
    correction: float | None = None,
) -> Tensor:
    if isinstance(dim, bool):
        return _deviation(input, unbiased=dim)
    return torch.var(
        input, dim, correction=float(unbiased) if correction is None else correction, keepdim=keepdim
    ).sqrt()


@composition("norm", torch.linalg.vector_norm)
def _norm(
    input: Tensor,
    p: float | str | None = "fro",
    dim: Dimensions = None,
    keepdim: bool = False,
    *,
    ord: float = 2,
) -> Tensor:
    if p not in (2, "fro", None) or ord != 2:
        raise NotAnalyticError(f"norm of order {ord if ord != 2 else p} is not known; use order 2")
    dim = tuple(range(input.ndim)) if dim is None else dim
    return input.square().sum(dim, keepdim=keepdim).sqrt()


@composition(functional.normalize)
def _normalize(input: Tensor, p: float = 2.0, dim: int = 1, eps: float = 1e-12) -> Tensor:
    length: Tensor = input.norm(p, dim, keepdim=True)
    return input / length.clamp_min(eps)


def _standardised(input: Tensor, dim: list[int], eps: float) -> Tensor:
    centred = input - input.mean(dim, keepdim=True)
    return centred * (centred.square().mean(dim, keepdim=True) + eps).rsqrt()


def _scaled(input: Tensor, weight: Tensor | None, bias: Tensor | None, shape: Sequence[int]) -> Tensor:
    if weight is not None:
        input = input * weight.reshape(shape)
    return input if bias is None else input + bias.reshape(shape)


@composition(functional.batch_norm)
def _batch_norm(
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    shape = (1, -1, *[1] * (input.ndim - 2))
    if training:
        # PyTorch's own one moves the running statistics, from the same values.
        functional.batch_norm(constant(input), running_mean, running_var, None, None, True, momentum, eps)
        normal = _standardised(input, [d for d in range(input.ndim) if d != 1], eps)
    elif running_mean is None or running_var is None:
        raise NotAnalyticError("batch_norm in evaluation mode needs running statistics; track them, or call train()")
    else:
        normal = (input - running_mean.reshape(shape).clone()) * (running_var + eps).rsqrt().reshape(shape)
    return _scaled(normal, weight, bias, shape)


@composition(functional.instance_norm)
def _instance_norm(
    input: Tensor,
    running_mean: Tensor | None = None,
    running_var: Tensor | None = None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    use_input_stats: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    if running_mean is not None or running_var is not None or not use_input_stats:
        raise NotAnalyticError("instance_norm with running statistics is not known; leave track_running_stats out")
    normal = _standardised(input, list(range(2, input.ndim)), eps)
    return _scaled(normal, weight, bias, (1, -1, *[1] * (input.ndim - 2)))


@composition(functional.layer_norm)
def _layer_norm(
    input: Tensor,
    normalized_shape: Sequence[int],
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    normal = _standardised(input, list(range(-len(normalized_shape), 0)), eps)
    return _scaled(normal, weight, bias, normalized_shape)


@composition(functional.group_norm)
def _group_norm(
    input: Tensor, num_groups: int, weight: Tensor | None = None, bias: Tensor | None = None, eps: float = 1e-5
) -> Tensor:
    grouped = input.reshape(len(input), num_groups, -1)
    normal = _standardised(grouped, [-1], eps).reshape(input.shape)
    return _scaled(normal, weight, bias, (1, -1, *[1] * (input.ndim - 2)))


# Recurrent cells


def _recurrent_cell(activation: Callable[[Tensor], Tensor]) -> Callable[..., Tensor]:
    def cell(
        input: Tensor,
        hx: Tensor,
        w_ih: Tensor,
        w_hh: Tensor,
        b_ih: Tensor | None = None,
        b_hh: Tensor | None = None,
    ) -> Tensor:
        return activation(functional.linear(input, w_ih, b_ih) + functional.linear(hx, w_hh, b_hh))

    return cell


composition(torch.rnn_tanh_cell)(_recurrent_cell(torch.tanh))
composition(torch.rnn_relu_cell)(_recurrent_cell(torch.relu))


@composition(torch.lstm_cell)
def _lstm_cell(
    input: Tensor,
    hx: tuple[Tensor, Tensor],
    w_ih: Tensor,
    w_hh: Tensor,
    b_ih: Tensor | None = None,
    b_hh: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    hidden, state = hx
    gates = functional.linear(input, w_ih, b_ih) + functional.linear(hidden, w_hh, b_hh)
    enter, forget, candidate, leave = gates.chunk(4, 1)
    state = forget.sigmoid() * state + enter.sigmoid() * candidate.tanh()
    return leave.sigmoid() * state.tanh(), state


@composition(torch.gru_cell)
def _gru_cell(
    input: Tensor,
    hx: Tensor,
    w_ih: Tensor,
    w_hh: Tensor,
    b_ih: Tensor | None = None,
    b_hh: Tensor | None = None,
) -> Tensor:
    of_input = functional.linear(input, w_ih, b_ih).chunk(3, 1)
    of_hidden = functional.linear(hx, w_hh, b_hh).chunk(3, 1)
    reset = (of_input[0] + of_hidden[0]).sigmoid()
    update = (of_input[1] + of_hidden[1]).sigmoid()
    candidate = (of_input[2] + reset * of_hidden[2]).tanh()
    return candidate + update * (hx - candidate)
