"""Hessian-vector products by five methods against one gradient, with what multiplications alone would cost.

Images are random: times do not depend on what is in them.
"""

import argparse
from collections.abc import Callable, Sequence

import torch
from measuring import extra_memory_bytes, say, seconds_in_turns
from torch import nn
from torch.nn import functional

from secondorder.curvature.hessian_vector_products import METHODS, HessianVectorProducts, MethodName
from secondorder.curvature.layers import take_apart
from secondorder.problems import mnist_lenet5

# Products of matrices (or convolutions) per layer: the gradient's, and those of the methods whose count is known. The
# first layer has fewer, as its inputs have no derivative.
GRADIENT = (2, 3)
PRODUCTS: dict[MethodName, tuple[int, int]] = {"complex_step": (3, 10), "r_operator": (2, 6)}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark on the networks and batch sizes that are named, or all of them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("networks", nargs="*", help=f"of {', '.join(NETWORKS)}; all when absent")
    parser.add_argument("--batches", type=int, nargs="+", default=[64, 256], help="batch sizes (default: 64 256)")
    parser.add_argument("--repeats", type=int, default=21, help="measurements of each side (default: 21)")
    parsed = parser.parse_args(arguments)
    torch.set_num_threads(1)
    for name in parsed.networks or NETWORKS:
        for batch in parsed.batches:
            products_against_gradient(name, batch, parsed.repeats)


def perceptron() -> nn.Module:
    """Return a ReLU perceptron, 784-512-256-10."""
    return nn.Sequential(
        nn.Flatten(), nn.Linear(784, 512), nn.ReLU(), nn.Linear(512, 256), nn.ReLU(), nn.Linear(256, 10)
    )


def lenet5() -> nn.Module:
    """Return the network of the problem ``mnist_lenet5``, with ReLU."""
    return mnist_lenet5.build(mnist_lenet5.Settings()).network()


NETWORKS: dict[str, Callable[[], nn.Module]] = {"784-512-256-10": perceptron, "LeNet-5": lenet5}


def floor(model: nn.Module, images: torch.Tensor, method: MethodName) -> float | None:
    """Return the multiplications of a product over those of a gradient; None where they are not counted."""
    if method not in PRODUCTS:
        return None
    first, *others = [layer.multiplications for layer in take_apart(model, images).layers]
    of_first, of_others = PRODUCTS[method]
    return (of_first * first + of_others * sum(others)) / (GRADIENT[0] * first + GRADIENT[1] * sum(others))


def products_against_gradient(name: str, batch: int, repeats: int) -> None:
    """Measure one network on one batch size."""
    torch.manual_seed(0)
    model = NETWORKS[name]()
    images, labels = torch.rand(batch, 1, 28, 28), torch.randint(0, 10, (batch,))
    parameters = list(model.parameters())
    vector = torch.randn(sum(parameter.numel() for parameter in parameters))

    def gradient() -> None:
        torch.autograd.grad(functional.cross_entropy(model(images), labels), parameters)

    def made(method: MethodName, *, check: bool = False) -> HessianVectorProducts:
        return HessianVectorProducts(model, functional.cross_entropy, images, labels, method, check=check)

    memory = {
        method: extra_memory_bytes(lambda method=method: made(method)(vector), warm_up=gradient) for method in METHODS
    }
    built = {method: made(method) for method in METHODS}
    sides: dict[str, Callable[[], object]] = {"gradient": gradient}
    sides |= {method: lambda method=method: built[method](vector) for method in METHODS}
    sides |= {f"{method}, made": lambda method=method: made(method) for method in METHODS}
    taken = seconds_in_turns(sides, repeats)
    one = taken["gradient"].median
    say(f"{name} (ReLU), batch {batch}, float32, one core: a product in gradients")
    say(f"  {'gradient':22} {taken['gradient']}")
    for method in METHODS:
        bound = floor(model, images, method)
        counted = "" if bound is None else f", multiplications alone {bound:.2f}"
        say(f"  {method:22} {taken[method]}  {taken[method].median / one:5.2f} × gradient{counted}")
        construction = taken[f"{method}, made"].median / one
        say(f"  {'':22} made once: {construction:.2f} × gradient; extra peak memory {memory[method] / 2**20:.1f} MiB")
    say()


if __name__ == "__main__":
    main()
