"""What a Hessian-vector product costs in a Krylov solve, in gradients, over the size of batch and network.

A solve makes its products at one point, so the object that holds what they share is built once; that is reported apart.
A process of its own measures each method, with one thread: first the peak memory, above what the process held, of
building and one product, then the seconds of one gradient and of one product in turns, so that both see the same
machine. The memory of a gradient is measured likewise, in a process that does nothing else.
"""

import statistics
import time
from collections.abc import Callable, Sequence
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch.nn import functional

from secondorder.curvature.hessian_vector_products import METHODS, HessianVectorProducts, MethodName
from secondorder.validation.measuring import in_a_process, peak_memory_of, spread
from secondorder.validation.networks import initialised
from secondorder.validation.product_floor import product_floor
from secondorder.validation.product_networks import GROWING, SMALLEST_WIDTH

_VECTOR_SEED = 1
_WARM_UP_SAMPLES = 2
Images = NDArray[np.float32]
Labels = NDArray[np.int64]


def measure_product_cost(
    images: torch.Tensor, labels: torch.Tensor, batch_sizes: Sequence[int], widths: Sequence[int], repeats: int
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return what does and what does not repeat bit for bit, one row per network, size and method each.

    Args:
        images: Real images, shape (n, 1, 28, 28).
        labels: Their labels, shape (n,).
        batch_sizes: Sizes of the batches.
        widths: Widths of the networks, at least 16.
        repeats: Repetitions, of which the median counts.

    Returns:
        Columns network, batch_size, width, method, and then parameters and floor (the multiplications of a product over
        those of a gradient); or gradient_seconds, gradient_memory_bytes, and in units of these time (of a product),
        fastest, slowest, construction (seconds of building the object) and memory (at the peak of building and one
        product).
    """
    numbers: list[dict[str, Any]] = []
    timing: list[dict[str, Any]] = []
    for network, (batch_size, width) in product(GROWING, sizes(batch_sizes, widths)):
        given = images[:batch_size].float(), labels[:batch_size]
        arrays = given[0].numpy(), given[1].numpy()
        model = _network(network, width)
        memory_of_gradient = in_a_process(_memory_of_a_gradient, network, width, *arrays)
        for method in METHODS:
            about = {"network": network, "batch_size": batch_size, "width": width, "method": method}
            parameters = sum(parameter.numel() for parameter in model.parameters())
            numbers.append({**about, "parameters": parameters, "floor": product_floor(model, given[0], method)})
            seconds, memory = in_a_process(_measure, network, width, *arrays, method, repeats)
            memories = {"gradient_memory_bytes": memory_of_gradient, "memory": memory / memory_of_gradient}
            timing.append({**about, **seconds, **memories})
    return pd.DataFrame(numbers), pd.DataFrame(timing)


def sizes(batch_sizes: Sequence[int], widths: Sequence[int]) -> list[tuple[int, int]]:
    """Return pairs of batch size and width: batches grow at the largest width, and widths at the largest batch."""
    growing = [(batch_size, max(widths)) for batch_size in batch_sizes]
    widening = [(max(batch_sizes), width) for width in widths]
    return list(dict.fromkeys(growing + widening))


def _network(network: str, width: int) -> torch.nn.Module:
    return initialised(lambda: GROWING[network](width), seed=0).float()


def _gradient_of(network: str, width: int, images: Images, labels: Labels) -> Callable[[], object]:
    """Return what computes one gradient, after a small one: libraries that load at first use are no cost of it."""

    def gradient(model: torch.nn.Module, count: int) -> object:
        inputs, targets = torch.from_numpy(images[:count]), torch.from_numpy(labels[:count])
        return torch.autograd.grad(functional.cross_entropy(model(inputs), targets), list(model.parameters()))

    gradient(_network(network, SMALLEST_WIDTH), _WARM_UP_SAMPLES)
    model = _network(network, width)
    return lambda: gradient(model, len(images))


def _products_of(
    network: str, width: int, images: Images, labels: Labels, method: MethodName
) -> tuple[Callable[[], HessianVectorProducts], torch.Tensor]:
    """Return what builds the object of a method's products, and a vector to multiply, after a small product."""

    def products(model: torch.nn.Module, count: int) -> HessianVectorProducts:
        inputs, targets = torch.from_numpy(images[:count]), torch.from_numpy(labels[:count])
        return HessianVectorProducts(model, functional.cross_entropy, inputs, targets, method, check=False)

    small = _network(network, SMALLEST_WIDTH)
    products(small, _WARM_UP_SAMPLES)(_vector(small))
    model = _network(network, width)
    return lambda: products(model, len(images)), _vector(model)


def _vector(model: torch.nn.Module) -> torch.Tensor:
    parameters = sum(parameter.numel() for parameter in model.parameters())
    return torch.randn(parameters, generator=torch.Generator().manual_seed(_VECTOR_SEED))


def _memory_of_a_gradient(network: str, width: int, images: Images, labels: Labels) -> int:
    _, memory = peak_memory_of(_gradient_of(network, width, images, labels))
    return memory


def _measure(
    network: str, width: int, images: Images, labels: Labels, method: MethodName, repeats: int
) -> tuple[dict[str, float], int]:
    """Return seconds, in gradients but for the gradient's own, and bytes."""
    build, vector = _products_of(network, width, images, labels, method)
    _, memory = peak_memory_of(lambda: build()(vector))
    gradient = _gradient_of(network, width, images, labels)
    gradient()
    constructed = [_seconds_of(build) for _ in range(repeats)]
    products = build()
    products(vector)
    gradients, multiplied = [], []
    for _ in range(repeats):
        gradients.append(_seconds_of(gradient))
        multiplied.append(_seconds_of(lambda: products(vector)))
    unit = statistics.median(gradients)
    product_seconds = {name: seconds / unit for name, seconds in spread(multiplied).items()}
    seconds = {
        "gradient_seconds": unit,
        "time": product_seconds["seconds"],
        "fastest": product_seconds["fastest"],
        "slowest": product_seconds["slowest"],
        "construction": statistics.median(constructed) / unit,
    }
    return seconds, memory


def _seconds_of(task: Callable[[], object]) -> float:
    started = time.perf_counter()
    task()
    return time.perf_counter() - started
