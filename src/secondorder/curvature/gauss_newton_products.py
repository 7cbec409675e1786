"""Products with the generalised Gauss-Newton matrix of any module, G v = Jᵀ (∇²_z L) J v with J = ∂z/∂θ.

Source: Schraudolph 2002, section 3. J v is ∂⟨Jᵀ w, v⟩/∂w, because Jᵀ w is linear in w (Townsend 2017). At w = ∇_z L the
vector Jᵀ w is the gradient of the loss, so that the graph which all products share is that of one gradient. Derived in
docs/methods.md, section "Hessian-free".
"""

from collections.abc import Callable, Sequence

import torch
from torch import nn

from secondorder.curvature.activation_hessian import LossFunction, explained_derivatives
from secondorder.curvature.evaluation import Evaluation, check_finite, check_scalar, check_vector, explained_change
from secondorder.curvature.flat_vectors import flattened, split_like
from secondorder.curvature.layers import SameFunction
from secondorder.curvature.one_function import buffers_apart
from secondorder.errors import CapabilityError, InputError


class OutputGraph:
    """Outputs z and loss L(z) with their graphs, which are kept from product to product.

    Args:
        outputs: z, batch first, with a graph to the parameters.
        loss_of_outputs: Maps z to L; where it uses the parameters besides, that is not seen.
        parameters: θ; all require gradients.

    Attributes:
        loss: L, 0-dimensional, without a graph.
        output_gradient: ∇_z L, of the shape of z, without a graph.
        gradient: ∇L(θ) = Jᵀ ∇_z L, shape [P], without a graph.
    """

    def __init__(
        self,
        outputs: torch.Tensor,
        loss_of_outputs: Callable[[torch.Tensor], torch.Tensor],
        parameters: Sequence[torch.Tensor],
    ) -> None:
        self._outputs, self._parameters = outputs, parameters
        self._leaf = outputs.detach().requires_grad_()
        # A copy, which a loss may change in place.
        loss = loss_of_outputs(self._leaf.clone())
        with explained_derivatives():
            (self._slope,) = torch.autograd.grad(loss, self._leaf, create_graph=True, materialize_grads=True)
            self.loss, self.output_gradient = loss.detach(), self._slope.detach()
            self._weights = self.output_gradient.clone().requires_grad_()
            self._pulled = self._pull_back(self._weights, create_graph=True)
        self.gradient = flattened(self._pulled).detach()

    def __call__(self, vector: torch.Tensor) -> torch.Tensor:
        """Return G v, shape [P], for v of shape [P].

        Raises:
            InputError: A tensor of the graph was changed in place since it was made.
            CapabilityError: PyTorch has no derivative of a function of the model.
        """
        with explained_derivatives(), explained_change():
            moved = self._moved(split_like(vector, self._parameters))
            if moved is None or not self._slope.requires_grad:
                return torch.zeros_like(vector)
            (curved,) = torch.autograd.grad(self._slope, self._leaf, moved, retain_graph=True, materialize_grads=True)
        return self.pulled_back(curved)

    def pulled_back(self, weights: torch.Tensor) -> torch.Tensor:
        """Return Jᵀ w, shape [P], for w of the shape of z: one backward pass.

        Raises:
            InputError: The weights have another shape, or a tensor of the graph was changed in place since it was made.
            CapabilityError: PyTorch has no derivative of a function of the model.
        """
        if weights.shape != self.output_gradient.shape:
            raise InputError(
                f"the weights have shape {tuple(weights.shape)}; the outputs have {tuple(self.output_gradient.shape)}"
            )
        with explained_derivatives(), explained_change():
            return flattened(self._pull_back(weights))

    def _pull_back(self, weights: torch.Tensor, *, create_graph: bool = False) -> Sequence[torch.Tensor]:
        if not self._outputs.requires_grad:
            return [torch.zeros_like(parameter) for parameter in self._parameters]
        return torch.autograd.grad(
            self._outputs,
            self._parameters,
            weights,
            retain_graph=True,
            create_graph=create_graph,
            materialize_grads=True,
        )

    def _moved(self, directions: Sequence[torch.Tensor]) -> torch.Tensor | None:
        """Return J v, of the shape of z; None where z depends on no parameter."""
        pairs = zip(self._pulled, directions, strict=True)
        used = [(pulled, direction) for pulled, direction in pairs if pulled.requires_grad]
        if not used:
            return None
        pieces, along = zip(*used, strict=True)
        (moved,) = torch.autograd.grad(pieces, self._weights, along, retain_graph=True, materialize_grads=True)
        return moved


class GaussNewtonProducts:
    """Products G v at the point where it is made, with the graph of one gradient kept between them.

    The model is any module that PyTorch differentiates twice: dropout draws its masks once, batch statistics in
    training mode are differentiated, and a layer may be used several times. The loss is any function of the outputs
    that is twice differentiable; for cross-entropy and squared errors G is positive semi-definite.

    Args:
        model: An unmodified module with one tensor as output; its trainable parameters are θ, in the order of
            ``parameters_to_vector``.
        loss_fn: Maps outputs and targets to a 0-dimensional tensor.
        inputs: Inputs, batch first.
        targets: Targets.
        same_function: Context in which every evaluation of the model is the same function, such as that of a training
            objective; by default one of its own.

    Attributes:
        loss: L(θ), 0-dimensional, without a graph.
        gradient: ∇L(θ), shape [P].
        output_gradient: ∇_z L, of the shape of the outputs.

    Raises:
        InputError: Model, loss or batch are not what products can be taken of.
        CapabilityError: PyTorch has no second derivative of a function of the model, or the loss uses a parameter by
            another way than the outputs.
    """

    def __init__(
        self,
        model: nn.Module,
        loss_fn: LossFunction,
        inputs: torch.Tensor,
        targets: torch.Tensor,
        *,
        same_function: SameFunction | None = None,
    ) -> None:
        evaluation = Evaluation.of(model, loss_fn, inputs, targets, same_function)

        def checked_loss(outputs: torch.Tensor) -> torch.Tensor:
            loss = loss_fn(outputs, targets)
            _check_loss(loss, evaluation.parameters)
            return loss

        with torch.enable_grad(), evaluation.same_function(), buffers_apart(model):
            outputs = model(inputs)
            if not isinstance(outputs, torch.Tensor):
                raise InputError(
                    f"the model's output is a {type(outputs).__name__}; the Gauss-Newton matrix needs one tensor, so "
                    "wrap the model in a module that returns one"
                )
            self._graph = OutputGraph(outputs, checked_loss, evaluation.parameters)
        self.loss = self._graph.loss
        self.gradient = self._graph.gradient
        self.output_gradient = self._graph.output_gradient

    def __call__(self, vector: torch.Tensor) -> torch.Tensor:
        """Return G v, shape [P], for v of shape [P].

        Raises:
            InputError: The vector is of another shape, dtype or device; or a tensor that the products need was changed
                in place since they were made.
            CapabilityError: PyTorch has no derivative of a function of the model.
        """
        check_vector(vector, self.gradient)
        return self._graph(vector)

    def pulled_back(self, weights: torch.Tensor) -> torch.Tensor:
        """Return Jᵀ w, shape [P], for w of the shape of the outputs; see :meth:`OutputGraph.pulled_back`."""
        return self._graph.pulled_back(weights)


def gauss_newton_product(
    outputs: Callable[[], torch.Tensor],
    loss_of_outputs: Callable[[torch.Tensor], torch.Tensor],
    parameters: Sequence[torch.Tensor],
    vector: torch.Tensor,
) -> torch.Tensor:
    """Return one product G v, shape [P]; see :class:`OutputGraph`, which shares a graph between products.

    Args:
        outputs: Evaluates z with a graph.
        loss_of_outputs: Maps z to L.
        parameters: θ; all require gradients.
        vector: v, shape [P], in the order of ``parameters_to_vector``.
    """
    return OutputGraph(outputs(), loss_of_outputs, parameters)(vector)


def _check_loss(loss: torch.Tensor, parameters: Sequence[torch.Tensor]) -> None:
    check_scalar(loss)
    check_finite(loss)
    if not loss.requires_grad:
        raise InputError("the loss does not depend on the outputs; look whether it detaches them")
    direct = torch.autograd.grad(loss, parameters, retain_graph=True, allow_unused=True)
    if any(gradient is not None for gradient in direct):
        raise CapabilityError(
            "the loss uses parameters besides the model's outputs, which the Gauss-Newton matrix does not see; give "
            "such a term as the objective's penalty"
        )
