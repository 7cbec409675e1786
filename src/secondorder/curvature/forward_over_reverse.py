"""Hessian-vector products by forward-mode differentiation of the gradient."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from secondorder.curvature.evaluation import TOLERANCE, Evaluation
from secondorder.curvature.flat_vectors import flattened, split_like
from secondorder.errors import CapabilityError

_REMEDY = "use the method 'r_operator' or 'double_backward'"


class ForwardOverReverse:
    """H v = ∂∇L(θ + r v)/∂r at r = 0, by ``torch.func``.

    Args:
        evaluation: What is differentiated.
        check: Compare gradient and one product with those of double backward.

    Raises:
        CapabilityError: PyTorch has no forward derivative of a function of the model, or a wrong one.
    """

    def __init__(self, evaluation: Evaluation, *, check: bool) -> None:
        model = evaluation.model
        names = [name for name, child in model.named_modules(remove_duplicate=False) if name]
        once = [name for name, child in model.named_modules() if name]
        if len(names) > len(once):
            twice = next(name for name in names if name not in once)
            raise CapabilityError(
                f"module {twice!r}: it has two names, and torch.func.functional_call spoils such modules; {_REMEDY}"
            )
        self._evaluation = evaluation
        self._whole = _WithLoss(evaluation)
        loss, gradients = evaluation.loss_and_gradient(create_graph=check)
        self.loss, self.gradient = loss.detach(), flattened(gradients).detach()
        trainable = {id(parameter) for parameter in evaluation.parameters}
        self._named = {
            name: parameter.detach().clone()
            for name, parameter in self._whole.named_parameters()
            if id(parameter) in trainable
        }
        if check:
            self._check(gradients)

    def __call__(self, vector: torch.Tensor) -> torch.Tensor:
        """Return H v, shape [P]."""
        return self._gradient_and_product(vector)[1]

    def _gradient_and_product(self, vector: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        pieces = split_like(vector, self._evaluation.parameters)
        tangents = dict(zip(self._named, pieces, strict=True))
        with self._evaluation.same_function(), _explained(), _Refusing():
            found = torch.func.jvp(torch.func.grad(self._loss), (self._named,), (tangents,))
            gradient, product = found[0], found[1]
        return flattened(list(gradient.values())), flattened(list(product.values()))

    def _loss(self, named: dict[str, torch.Tensor]) -> torch.Tensor:
        # Running statistics would be moved in place, which a transformed function must not do.
        buffers = {name: buffer.clone() for name, buffer in self._whole.named_buffers()}
        loss: torch.Tensor = torch.func.functional_call(self._whole, {**named, **buffers}, ())
        return loss

    def _check(self, gradients: list[torch.Tensor]) -> None:
        generator = torch.Generator().manual_seed(0)
        vector = (torch.rand(self.gradient.shape, generator=generator) - 0.5).to(self.gradient)
        gradient, product = self._gradient_and_product(vector)
        self._compare("gradient", gradient, self.gradient)
        inner = flattened(gradients) @ vector
        if inner.requires_grad:
            truth = torch.autograd.grad(inner, self._evaluation.parameters, materialize_grads=True)
            self._compare("product", product, flattened(truth))

    def _compare(self, name: str, found: torch.Tensor, truth: torch.Tensor) -> None:
        error, size = float((found - truth).norm()), float(truth.norm())
        if not error <= TOLERANCE[truth.dtype] * size + torch.finfo(truth.dtype).tiny:
            raise CapabilityError(
                f"the {name} by forward mode differs from the one by backward mode by {error:.1e}, of a length of "
                f"{size:.1e}: a function of this model has a wrong forward derivative, or the loss uses parameters in "
                f"a way that torch.func does not see; {_REMEDY}"
            )


class _WithLoss(nn.Module):
    """A model and its loss in one, so that a loss that looks at the model's parameters sees the same ones."""

    def __init__(self, evaluation: Evaluation) -> None:
        super().__init__()
        self.model = evaluation.model
        self._evaluation = evaluation
        self.training = evaluation.model.training

    def forward(self) -> torch.Tensor:
        return self._evaluation.loss()


class _Refusing(TorchFunctionMode):
    """Refuses what PyTorch differentiates wrongly, forward over reverse."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func in (functional.layer_norm, torch.layer_norm, torch.native_layer_norm):
            raise CapabilityError(f"PyTorch's forward-over-reverse derivative of layer_norm is wrong; {_REMEDY}")
        return func(*args, **(kwargs or {}))


@contextmanager
def _explained() -> Iterator[None]:
    try:
        yield
    except (NotImplementedError, RuntimeError) as error:
        if isinstance(error, torch.OutOfMemoryError):
            raise
        raise CapabilityError(f"PyTorch has no forward-mode derivative of this model ({error}); {_REMEDY}") from error
