"""A step of Hessian-free optimization and of Newton-CG against what comparable libraries take for theirs.

Sides that are compared make as many products on the same batch from the same weights. Conjugate gradients of
pytorch-minimize decide themselves how many, and its counterparts then make these; it ends with a gradient at the new
point, so they do too. The comparison with PyTorch at the first step of all is left out. Images are random: times do not
depend on what is in them.
"""

import argparse
import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torchmin
from curvlinops import GGNLinearOperator
from measuring import say, seconds_in_turns
from scipy.sparse.linalg import LinearOperator, cg
from torch import nn
from torch.func import functional_call
from torch.nn import functional
from torch.nn.utils import parameters_to_vector

from secondorder.optim import hessian_free, newton_krylov
from secondorder.optim.protocol import Optimizer
from secondorder.problems import mnist_lenet5, mnist_mlp
from secondorder.training.objective import Objective
from secondorder.training.work import Work

NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "mnist_mlp": mnist_mlp.build(mnist_mlp.Settings()).network,
    "mnist_lenet5": mnist_lenet5.build(mnist_lenet5.Settings()).network,
}
DAMPING = 1.0
PENALTY = 0.05
"""Coefficient of the squared weights, so that conjugate gradients meet no negative curvature."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark on the networks that are named, or all of them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("networks", nargs="*", help=f"of {', '.join(NETWORKS)}; all when absent")
    parser.add_argument("--batch", type=int, default=256, help="batch size (default: 256)")
    parser.add_argument("--products", type=int, default=10, help="products of a step (default: 10)")
    parser.add_argument("--repeats", type=int, default=15, help="measurements of each side (default: 15)")
    parsed = parser.parse_args(arguments)
    torch.set_num_threads(1)
    for name in parsed.networks or NETWORKS:
        compare(Batch.of(name, parsed.batch), name, parsed.products, parsed.repeats)


@dataclass(frozen=True)
class Batch:
    """A network at its first weights, and a batch.

    Attributes:
        model: The network, which no side moves.
        images: Shape [B, 1, 28, 28].
        labels: Shape [B].
    """

    model: nn.Module
    images: torch.Tensor
    labels: torch.Tensor

    @classmethod
    def of(cls, name: str, size: int) -> "Batch":
        """Return a network of the table with random images."""
        torch.manual_seed(0)
        return cls(NETWORKS[name](), torch.rand(size, 1, 28, 28), torch.randint(0, 10, (size,)))

    def own(
        self, build: Callable[[list[nn.Parameter]], Optimizer], *, gradient_after: bool = False
    ) -> Callable[[], object]:
        """Return a first step of an optimizer, on a copy of the network that is set back before each."""
        model = copy.deepcopy(self.model)
        parameters = list(model.parameters())

        def step() -> object:
            with torch.no_grad():
                for parameter, first in zip(parameters, self.model.parameters(), strict=True):
                    parameter.copy_(first)
            work = Work(len(self.images))
            objective = Objective(model, functional.cross_entropy, self.images, self.labels, work, PENALTY)
            build(parameters).step(objective, 1.0)
            return objective.loss_and_gradient() if gradient_after else work.gradient_equivalents

        return step

    def of_torchmin(self) -> Callable[[], int]:
        """Return one step of Newton-CG by pytorch-minimize, with its line search; it returns the products made."""
        named = dict(self.model.named_parameters())
        sizes = [parameter.numel() for parameter in named.values()]
        theta = parameters_to_vector(self.model.parameters()).detach()

        def value(flat: torch.Tensor) -> torch.Tensor:
            pieces = zip(named.items(), flat.split(sizes), strict=True)
            shaped = {name: piece.view_as(parameter) for (name, parameter), piece in pieces}
            penalty = sum(weight.square().sum() for weight in shaped.values() if weight.ndim > 1)
            outputs = functional_call(self.model, shaped, (self.images,))
            return functional.cross_entropy(outputs, self.labels) + PENALTY / 2 * penalty

        return lambda: int(torchmin.minimize(value, theta, method="newton-cg", options={"max_iter": 1}).ncg)

    def of_curvlinops(self, products: int) -> Callable[[], object]:
        """Return gradient and direction by curvlinops and SciPy's conjugate gradients, without line search."""
        parameters = [parameter for parameter in self.model.parameters() if parameter.requires_grad]

        def step() -> object:
            loss = functional.cross_entropy(self.model(self.images), self.labels)
            gradient = parameters_to_vector(torch.autograd.grad(loss, parameters))
            operator = GGNLinearOperator(
                self.model, nn.CrossEntropyLoss(), parameters, [(self.images, self.labels)], check_deterministic=False
            )

            def damped(vector: np.ndarray) -> np.ndarray:
                flat = torch.from_numpy(vector)
                return (operator @ flat + (DAMPING + PENALTY) * flat).numpy()

            matrix = LinearOperator((len(gradient),) * 2, matvec=damped, dtype=np.float32)
            return cg(matrix, -gradient.numpy(), rtol=0.0, maxiter=products)

        return step


def compare(batch: Batch, name: str, products: int, repeats: int) -> None:
    """Measure all sides on one network."""
    torchmin_step = batch.of_torchmin()
    theirs = torchmin_step()

    def free(count: int) -> Callable[[list[nn.Parameter]], Optimizer]:
        settings = hessian_free.Settings(damping=DAMPING, krylov_steps=count, relative_progress=0.0)
        return lambda parameters: hessian_free.build(parameters, settings)

    def newton_cg(parameters: list[nn.Parameter]) -> Optimizer:
        settings = newton_krylov.Settings(control="armijo", krylov_steps=theirs, residual_tolerance=0.0)
        optimizer = newton_krylov.build(parameters, settings)
        optimizer.load_state_dict({**optimizer.state_dict(), "checked": True})
        return optimizer

    sides: dict[str, Callable[[], object]] = {
        f"Hessian-free, {products}": batch.own(free(products)),
        f"curvlinops and SciPy, {products}": batch.of_curvlinops(products),
        f"Hessian-free, {theirs}": batch.own(free(theirs), gradient_after=True),
        f"Newton-CG, {theirs}": batch.own(newton_cg, gradient_after=True),
        f"pytorch-minimize, {theirs}": torchmin_step,
    }
    taken = seconds_in_turns(sides, repeats)
    say(f"{name}, batch {len(batch.images)}, float32, one core: a step with its products")
    for side, seconds in taken.items():
        say(f"  {side:28} {seconds}")
    free_side, of_curvlinops, free_again, newton_side, of_torchmin = taken
    for own, other in ((free_side, of_curvlinops), (free_again, of_torchmin), (newton_side, of_torchmin)):
        say(f"  {own} / {other}: {taken[own].median / taken[other].median:.2f}")
    say()


if __name__ == "__main__":
    main()
