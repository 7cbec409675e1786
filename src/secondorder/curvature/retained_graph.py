"""Hessian-vector products by differentiating a gradient whose graph is kept."""

import torch

from secondorder.curvature.evaluation import Evaluation, explained_change
from secondorder.curvature.flat_vectors import flattened, split_like


class RetainedGraph:
    """H v = ∂⟨∇L, v⟩/∂θ, each product a backward pass through the graph of the gradient.

    Source: Pearlmutter 1994, section 1, in its reverse-over-reverse form.

    Args:
        evaluation: What is differentiated.
    """

    def __init__(self, evaluation: Evaluation) -> None:
        self._parameters = evaluation.parameters
        loss, self._gradients = evaluation.loss_and_gradient(create_graph=True)
        self.loss = loss.detach()
        self.gradient = flattened(self._gradients).detach()

    def __call__(self, vector: torch.Tensor) -> torch.Tensor:
        """Return H v, shape [P].

        Raises:
            InputError: A tensor of the graph was changed in place since it was made.
        """
        pairs = zip(self._gradients, split_like(vector, self._parameters), strict=True)
        curved = [(gradient, direction) for gradient, direction in pairs if gradient.requires_grad]
        if not curved:
            return torch.zeros_like(vector)
        gradients, directions = zip(*curved, strict=True)
        with explained_change():
            products = torch.autograd.grad(
                gradients, self._parameters, directions, retain_graph=True, materialize_grads=True
            )
        return flattened(products)
