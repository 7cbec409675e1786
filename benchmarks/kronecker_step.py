"""A step of K-FAC and of EKFAC against the same step made of curvlinops' operators.

Both sides compute a gradient, new factors by one random vector per sample, new inverses or eigenbases, and the
preconditioned gradient. Images are random: times do not depend on what is in them.
"""

import argparse
from collections.abc import Callable, Sequence
from types import ModuleType

import torch
from curvlinops import EKFACLinearOperator, KFACInverseLinearOperator, KFACLinearOperator
from measuring import say, seconds_in_turns
from torch import nn
from torch.nn import functional

from secondorder.optim import ekfac, kfac
from secondorder.problems import mnist_lenet5, mnist_mlp
from secondorder.training.objective import Objective
from secondorder.training.work import Work

DAMPING = 0.03
NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "784-128-64-10": mnist_mlp.build(mnist_mlp.Settings()).network,
    "LeNet-5": mnist_lenet5.build(mnist_lenet5.Settings()).network,
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark on the networks that are named, or all of them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("networks", nargs="*", help=f"of {', '.join(NETWORKS)}; all when absent")
    parser.add_argument("--batch", type=int, default=128, help="batch size (default: 128)")
    parser.add_argument("--repeats", type=int, default=21, help="measurements of each side (default: 21)")
    parsed = parser.parse_args(arguments)
    torch.set_num_threads(1)
    for name in parsed.networks or NETWORKS:
        step_against_library(name, parsed.batch, parsed.repeats)


def own_step(method: ModuleType, model: nn.Module, images: torch.Tensor, labels: torch.Tensor) -> Callable[[], object]:
    """Return a step of this package's optimizer, so short that all steps start at one point."""
    settings = method.Settings(learning_rate=1e-12, damping=DAMPING, momentum=0.0, kl_clip=0.0, inverse_period=1)
    optimizer = method.build(model.parameters(), settings)
    work = Work(len(images))
    return lambda: optimizer.step(Objective(model, functional.cross_entropy, images, labels, work), 1.0)


def library_step(
    operator: type[KFACLinearOperator], model: nn.Module, images: torch.Tensor, labels: torch.Tensor
) -> Callable[[], object]:
    """Return the same step made of curvlinops' operators."""
    parameters = list(model.parameters())
    loss = nn.CrossEntropyLoss()

    def step() -> None:
        gradient = list(torch.autograd.grad(loss(model(images), labels), parameters))
        curvature = operator(
            model,
            loss,
            parameters,
            [(images, labels)],
            check_deterministic=False,
            num_data=len(images),
            num_per_example_loss_terms=1,
            separate_weight_and_bias=False,
        )
        exact = operator is EKFACLinearOperator
        inverse = KFACInverseLinearOperator(
            curvature, DAMPING, use_heuristic_damping=not exact, use_exact_damping=exact
        )
        directions = inverse @ gradient
        with torch.no_grad():
            for parameter, direction in zip(parameters, directions, strict=True):
                parameter.sub_(direction, alpha=1e-12)

    return step


def step_against_library(name: str, batch: int, repeats: int) -> None:
    """Measure one network."""
    torch.manual_seed(0)
    images, labels = torch.rand(batch, 1, 28, 28), torch.randint(0, 10, (batch,))
    model = NETWORKS[name]()
    parameters = list(model.parameters())
    methods = {"K-FAC": (kfac, KFACLinearOperator), "EKFAC": (ekfac, EKFACLinearOperator)}
    sides: dict[str, Callable[[], object]] = {
        "gradient": lambda: torch.autograd.grad(functional.cross_entropy(model(images), labels), parameters)
    }
    for label, (own, library) in methods.items():
        sides[label] = own_step(own, model, images, labels)
        sides[f"{label} of curvlinops"] = library_step(library, model, images, labels)
    taken = seconds_in_turns(sides, repeats)
    say(f"{name}, batch {batch}, float32, one core: a step with new factors and inverses")
    for side, seconds in taken.items():
        say(f"  {side:22} {seconds}")
    for label in methods:
        ratio = taken[label].median / taken[f"{label} of curvlinops"].median
        say(f"  {label} over curvlinops: {ratio:.2f}")
    say()


if __name__ == "__main__":
    main()
