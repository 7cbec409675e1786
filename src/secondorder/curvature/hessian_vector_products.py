"""Hessian-vector products of the loss of an unmodified module, by five methods."""

import math
from collections.abc import Callable
from typing import Literal, Protocol, get_args

import torch
from torch import nn

from secondorder.curvature.activation_hessian import LossFunction
from secondorder.curvature.evaluation import Evaluation, check_vector, length_of
from secondorder.curvature.finite_difference import FiniteDifference, default_step
from secondorder.curvature.forward_over_reverse import ForwardOverReverse
from secondorder.curvature.layers import SameFunction
from secondorder.curvature.retained_graph import RetainedGraph
from secondorder.curvature.tape_products import COMPLEX_STEP, ByComplexStep, ByROperator
from secondorder.errors import ConfigurationError, InputError

MethodName = Literal["complex_step", "r_operator", "forward_over_reverse", "double_backward", "finite_difference"]
METHODS: tuple[MethodName, ...] = get_args(MethodName)
SHORTEST_COMPLEX_STEP = {torch.float64: 1e-290, torch.float32: 1e-30}
"""Below it products of the step lose digits by underflow."""


class _Method(Protocol):
    loss: torch.Tensor
    gradient: torch.Tensor

    def __call__(self, vector: torch.Tensor) -> torch.Tensor: ...


class HessianVectorProducts:
    """Products H v, H = ∇²L(θ), at the point where it is made.

    Every evaluation is the same function: dropout draws its masks once, and running statistics move once. All methods
    but ``finite_difference`` are exact up to rounding.

    - ``complex_step``: Im ∇L(θ + i h v/‖v‖) ‖v‖/h (Squire & Trapp 1998), literally, in pairs of real tensors.
    - ``r_operator``: the derivative of forward and reverse pass along v (Pearlmutter 1994); the fastest.
    - ``forward_over_reverse``: the same by ``torch.func``.
    - ``double_backward``: ∂⟨∇L, v⟩/∂θ, with the graph of ∇L kept.
    - ``finite_difference``: central differences of ∇L, at θ ± ε v/‖v‖.

    Args:
        model: An unmodified module; its trainable parameters are θ, in the order of ``parameters_to_vector``.
        loss_fn: Maps outputs and targets to a 0-dimensional tensor.
        inputs: Inputs, batch first.
        targets: Targets.
        method: One of the five.
        step: h or ε, the length of the step whatever the length of v; by default 1e-20, and for finite differences
            ε₀^(1/3) max(1, ‖θ‖) with ε₀ the rounding of the dtype. The other methods have none.
        same_function: Context in which every evaluation of the model is the same function, such as that of a training
            objective; by default one of its own.
        check: Compare loss, gradient, slope and one product of ``complex_step`` and ``r_operator``, and gradient and
            one product of ``forward_over_reverse``, with PyTorch's double backward. It costs about a gradient and two
            products, and the memory of a double backward; without it there is none of either.

    Attributes:
        loss: L(θ), 0-dimensional, without a graph.
        gradient: ∇L(θ), shape [P].

    Raises:
        InputError: Model, loss, batch or step are not what products can be taken of.
        CapabilityError: The method cannot differentiate the model; names the function and the module.
        ConfigurationError: There is no such method.
    """

    def __init__(
        self,
        model: nn.Module,
        loss_fn: LossFunction,
        inputs: torch.Tensor,
        targets: torch.Tensor,
        method: MethodName = "r_operator",
        step: float | None = None,
        *,
        same_function: SameFunction | None = None,
        check: bool = True,
    ) -> None:
        if method not in METHODS:
            raise ConfigurationError(f"method is {method!r}; it must be one of {', '.join(METHODS)}")
        evaluation = Evaluation.of(model, loss_fn, inputs, targets, same_function)
        _check_step(method, step, evaluation.parameters[0].dtype)
        make: dict[MethodName, Callable[[], _Method]] = {
            "complex_step": lambda: ByComplexStep(evaluation, step or COMPLEX_STEP, check=check),
            "r_operator": lambda: ByROperator(evaluation, check=check),
            "forward_over_reverse": lambda: ForwardOverReverse(evaluation, check=check),
            "double_backward": lambda: RetainedGraph(evaluation),
            "finite_difference": lambda: FiniteDifference(evaluation, step or default_step(evaluation)),
        }
        self._method = make[method]()
        self.loss = self._method.loss
        self.gradient = self._method.gradient

    def __call__(self, vector: torch.Tensor) -> torch.Tensor:
        """Return H v, shape [P]; zeros for v = 0.

        Args:
            vector: v, shape [P], of the parameters' dtype and on their device.

        A product may have entries that are not finite where loss and gradient are finite, such as that of the root of
        0: it is returned as it is, because training that diverges goes on.

        Raises:
            InputError: The vector is of another shape, dtype or device, or has entries that are not finite; or a tensor
                that the loss uses was changed in place since the products were made.
        """
        check_vector(vector, self.gradient)
        vector = vector.detach()
        length = length_of(vector)
        if not math.isfinite(length):
            raise InputError(
                "the vector has entries that are not finite, so it has no product; look where they come from"
            )
        return self._method(vector) if length else torch.zeros_like(vector)


def hessian_vector_product(
    model: nn.Module,
    loss_fn: LossFunction,
    inputs: torch.Tensor,
    targets: torch.Tensor,
    vector: torch.Tensor,
    method: MethodName = "r_operator",
    step: float | None = None,
    *,
    same_function: SameFunction | None = None,
    check: bool = True,
) -> torch.Tensor:
    """Return one product H v, shape [P]; see :class:`HessianVectorProducts`, which shares work between products."""
    products = HessianVectorProducts(
        model, loss_fn, inputs, targets, method, step, same_function=same_function, check=check
    )
    return products(vector)


def _check_step(method: MethodName, step: float | None, dtype: torch.dtype) -> None:
    if step is None:
        return
    if method not in ("complex_step", "finite_difference"):
        raise InputError(f"a step of {step!r} is given, and the method {method!r} has none; leave it out")
    if isinstance(step, bool) or not isinstance(step, int | float) or not math.isfinite(step) or step <= 0:
        raise InputError(f"step is {step!r}; it must be a finite number above 0")
    shortest = SHORTEST_COMPLEX_STEP[dtype] if method == "complex_step" else torch.finfo(dtype).tiny
    if step < shortest:
        raise InputError(f"a step of {step:g} vanishes in {dtype}; use a larger one, or none for the default")
