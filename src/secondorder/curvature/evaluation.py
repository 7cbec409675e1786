"""The loss of a batch as a function of a model's parameters, checked once and evaluated by every method alike."""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass

import torch
from torch import nn

from secondorder.curvature.activation_hessian import LossFunction
from secondorder.curvature.layers import SameFunction, check_tensors
from secondorder.curvature.one_function import OneFunction, buffers_apart
from secondorder.errors import InputError

TOLERANCE = {torch.float64: 1e-8, torch.float32: 1e-3}
"""How far two exact ways to a gradient may differ, relative to its length."""


@dataclass(frozen=True)
class Evaluation:
    """What is differentiated.

    Attributes:
        model: The network; its current parameters are θ.
        loss_fn: Maps outputs and targets to L.
        inputs: Inputs, batch first.
        targets: Targets.
        parameters: The trainable parameters.
        same_function: Context in which every evaluation is the same function of θ.
    """

    model: nn.Module
    loss_fn: LossFunction
    inputs: torch.Tensor
    targets: torch.Tensor
    parameters: list[nn.Parameter]
    same_function: SameFunction

    @classmethod
    def of(
        cls,
        model: nn.Module,
        loss_fn: LossFunction,
        inputs: torch.Tensor,
        targets: torch.Tensor,
        same_function: SameFunction | None,
    ) -> "Evaluation":
        """Return the evaluation of a batch; without a context of the caller's it makes one.

        Raises:
            InputError: There are no trainable parameters, or they and the inputs do not fit each other.
        """
        parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
        check_tensors(model, parameters, inputs)
        return cls(
            model, loss_fn, inputs, targets, parameters, same_function or OneFunction(model, parameters[0].device)
        )

    def loss(self) -> torch.Tensor:
        """Return L, with a graph where gradients are on; call it in the context.

        Raises:
            InputError: It is not a 0-dimensional tensor, or not finite.
        """
        loss = self.loss_fn(self.model(self.inputs), self.targets)
        check_scalar(loss)
        return loss

    def loss_and_gradient(self, *, create_graph: bool = False) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """Return L and ∇L by PyTorch's own differentiation, in pieces of the parameters' shapes.

        Args:
            create_graph: Keep the graph of the gradient, for second derivatives.

        Raises:
            InputError: The loss is not a 0-dimensional tensor or not finite.
        """
        apart = buffers_apart(self.model) if create_graph else nullcontext()
        with torch.enable_grad(), self.same_function(), apart:
            loss = self.loss()
            check_finite(loss)
            if not loss.requires_grad:
                return loss, [torch.zeros_like(parameter) for parameter in self.parameters]
            gradients = torch.autograd.grad(loss, self.parameters, create_graph=create_graph, materialize_grads=True)
        return loss, list(gradients)

    @contextmanager
    def moved(self, values: Sequence[torch.Tensor]) -> Iterator[None]:
        """Evaluate in this block at other values of the parameters, which are set back after it."""
        # Other memory, not other values in the same: a graph that was made before, here or by the caller, stays valid.
        kept = [parameter.data for parameter in self.parameters]
        try:
            for parameter, value in zip(self.parameters, values, strict=True):
                parameter.data = value
            yield
        finally:
            for parameter, value in zip(self.parameters, kept, strict=True):
                parameter.data = value


def check_scalar(loss: torch.Tensor) -> None:
    """Check the kind of a loss.

    Raises:
        InputError: It is not a 0-dimensional tensor.
    """
    if not isinstance(loss, torch.Tensor) or loss.ndim != 0:
        kind = f"of shape {tuple(loss.shape)}" if isinstance(loss, torch.Tensor) else f"a {type(loss).__name__}"
        raise InputError(f"the loss is {kind}; it must be a 0-dimensional tensor, such as a mean over the batch")


def check_finite(loss: torch.Tensor) -> None:
    """Check the value of a loss.

    Raises:
        InputError: It is infinite or not a number.
    """
    if not torch.isfinite(loss.detach()):
        raise InputError(f"the loss is {float(loss.detach())} at these parameters; it has no derivatives there")


def check_vector(vector: torch.Tensor, like: torch.Tensor) -> None:
    """Check that a product can be taken with a vector.

    Args:
        vector: The vector.
        like: A tensor of the shape, dtype and device that it needs.

    Raises:
        InputError: It is no tensor, or of another shape, dtype or device.
    """
    if not isinstance(vector, torch.Tensor):
        raise InputError(f"the vector is a {type(vector).__name__}; give a tensor of shape {tuple(like.shape)}")
    if vector.shape != like.shape:
        raise InputError(
            f"the vector has shape {tuple(vector.shape)}; it needs {tuple(like.shape)}, one entry for each of the "
            "trainable parameters"
        )
    if vector.dtype != like.dtype:
        raise InputError(f"the vector is of {vector.dtype} and the parameters of {like.dtype}; use one dtype")
    if vector.device != like.device:
        raise InputError(f"the vector lies on {vector.device} and the parameters on {like.device}; use one device")


@contextmanager
def explained_change() -> Iterator[None]:
    """Explain within this block that a kept graph is of values that are there no more.

    Raises:
        InputError: A tensor of the graph was changed in place.
    """
    try:
        yield
    except RuntimeError as error:
        if "modified by an inplace operation" not in str(error):
            raise
        raise InputError(
            "a tensor that the products need, such as a parameter, was changed in place since they were made; make "
            "them anew after every step"
        ) from error


def length_of(vector: torch.Tensor) -> float:
    """Return ‖v‖, also where its square is too large or too small for the dtype; not finite where an entry is not."""
    square = float(vector @ vector)
    if torch.finfo(vector.dtype).tiny < square < math.inf:
        return math.sqrt(square)
    largest = float(vector.abs().max())
    if largest == 0 or not math.isfinite(largest):
        return largest
    return largest * float((vector / largest).norm())
