"""Eigenpairs of mini-batch Hessians, found every few steps and kept in between, with all of their work counted.

Lanczos steps multiply more than a product with the Hessian alone: step j makes its vector orthogonal to j others,
twice, which is 4 j P multiplications. For a dense layer a product over B samples takes 6 P B, so with 20 steps on 32
samples that is a fifth beside; it is counted, and so is every other product with the P × r matrix of the vectors.
"""

from collections.abc import Callable
from typing import Any, Literal

import torch

from secondorder.curvature.eigenbasis import Eigenbasis
from secondorder.curvature.hessian_vector_products import MethodName
from secondorder.curvature.lanczos import LanczosBasis, lanczos
from secondorder.optim.flat_parameters import FlatParameters
from secondorder.optim.forward_multiplications import forward_multiplications
from secondorder.optim.objective_products import loss_and_flat_gradient, objective_products
from secondorder.training.objective import Objective


class KeptEigenbasis:
    """The eigenpairs that an optimizer uses, and when they are found anew.

    Args:
        parameters: All that the model trains.
        choose: Takes the wanted pairs from a Lanczos basis.
        product: Method of the Hessian-vector products.
        samples: How many samples of the mini-batch they are over, its last ones; 0 is all.
        krylov_steps: Products of one search.
        refresh: Steps from one search to the next.
        start: Where Lanczos starts: the ``gradient``, whose Krylov space holds all of the mini-batch's Newton step; or
            ``random``, so that no eigenvector is missed because the gradient happens to be orthogonal to it.
    """

    def __init__(
        self,
        parameters: FlatParameters,
        choose: Callable[[LanczosBasis], Eigenbasis],
        *,
        product: MethodName,
        samples: int,
        krylov_steps: int,
        refresh: int,
        start: Literal["gradient", "random"],
    ) -> None:
        self._choose = choose
        self._product: MethodName = product
        self._samples = samples
        self._krylov_steps = krylov_steps
        self._refresh = refresh
        self._start = start
        self._age = 0
        self._multiplications = 0.0
        self.basis = Eigenbasis.empty(parameters.vector())

    def loss_and_gradient(self, objective: Objective) -> tuple[torch.Tensor, torch.Tensor]:
        """Return f(θ) and ∇f(θ), shape [P], having found the pairs anew where that is due.

        A start of zero, at a stationary point, finds nothing: the pairs are kept, and due again at the next step.

        Raises:
            CapabilityError: The products cannot represent the model; names the operation.
        """
        if self._age % self._refresh:
            self._age += 1
            return loss_and_flat_gradient(objective)
        first = self._multiplications == 0
        products = objective_products(objective, self._product, samples=self._samples, check=first)
        if first:
            self._multiplications = forward_multiplications(objective)
        start = products.gradient if self._start == "gradient" else torch.randn_like(products.gradient)
        if start.norm() != 0:
            krylov = lanczos(products, start, self._krylov_steps)
            self.basis = self._choose(krylov)
            self._age += 1
            steps, rank = krylov.basis.shape[1], len(self.basis.values)
            self.count(objective, 2 * steps * (steps + 1) + steps * rank)
        return products.loss, products.gradient

    def count(self, objective: Objective, vectors: float) -> None:
        """Count as work the multiplications of ``vectors`` inner products or sums of vectors of P numbers."""
        objective.work.count_multiplications(vectors * len(self.basis.vectors), 3 * self._multiplications)

    def diagnostics(self) -> dict[str, float | torch.Tensor]:
        """Return the ends of the kept spectrum, and the largest residual relative to the largest |λ|."""
        values, residuals = self.basis.values, self.basis.residuals
        if not len(values):
            return {}
        size = values.abs().amax().clamp(min=torch.finfo(values.dtype).tiny)
        return {
            "smallest_ritz_value": values[0],
            "largest_ritz_value": values[-1],
            "krylov_residual": residuals.amax() / size,
        }

    def state_dict(self) -> dict[str, Any]:
        """Return the pairs, their age, and what the model multiplies."""
        return {
            "values": self.basis.values,
            "vectors": self.basis.vectors,
            "residuals": self.basis.residuals,
            "age": self._age,
            "multiplications": self._multiplications,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over a state."""
        pairs = (state[name].to(self.basis.values.device) for name in ("values", "vectors", "residuals"))
        self.basis = Eigenbasis(*pairs)
        self._age = state["age"]
        self._multiplications = state["multiplications"]
