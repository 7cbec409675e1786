"""Exact spectra against dense ones, and steps of exact Newton against a step of SGD.

Images are random: times do not depend on what is in them.
"""

import os

# NumPy's LAPACK counts its threads when it is imported: what is said to run on one core has to.
os.environ["OPENBLAS_NUM_THREADS"] = "1"

import argparse
from collections.abc import Sequence
from itertools import pairwise

import torch
from measuring import extra_memory_bytes, say, seconds_in_turns
from torch import nn
from torch.nn import functional

from secondorder import optim
from secondorder.curvature.exact_hessian import ExactHessian, PerSampleHessians
from secondorder.curvature.symmetric import symmetric_eigenvalues
from secondorder.optim.protocol import Optimizer
from secondorder.training.objective import Objective
from secondorder.training.work import Work


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmarks that are named, or all of them."""
    sections = {
        "spectrum": one_spectrum,
        "dense": against_dense,
        "batch": spectra_of_a_batch,
        "steps": training_steps,
    }
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sections", nargs="*", help=f"of {', '.join(sections)}; all when absent")
    parser.add_argument("--threads", type=int, default=2, help="threads where not one core is said (default: 2)")
    parsed = parser.parse_args(arguments)
    for name in parsed.sections or sections:
        sections[name](parsed.threads)


def perceptron(*widths: int, dtype: torch.dtype = torch.float64) -> nn.Module:
    """Return a ReLU perceptron of these widths."""
    torch.manual_seed(0)
    layers: list[nn.Module] = [nn.Flatten()]
    for inputs, outputs in pairwise(widths[:-1]):
        layers += [nn.Linear(inputs, outputs), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(*widths[-2:])).to(dtype)


def batch_of(samples: int, dtype: torch.dtype = torch.float64) -> tuple[torch.Tensor, torch.Tensor]:
    """Return random images and labels."""
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(samples, 1, 28, 28, generator=generator, dtype=dtype)
    return images, torch.randint(0, 10, (samples,), generator=generator)


def one_spectrum(_threads: int) -> None:
    """All nonzero eigenvalues of one sample on one core."""
    torch.set_num_threads(1)
    model, (images, labels) = perceptron(784, 128, 64, 10), batch_of(1)

    def spectrum() -> torch.Tensor:
        return ExactHessian(model, functional.cross_entropy, images, labels, check=False).eigenvalues()

    def checked() -> torch.Tensor:
        return ExactHessian(model, functional.cross_entropy, images, labels).eigenvalues()

    memory = extra_memory_bytes(spectrum, warm_up=lambda: tiny_spectrum(labels))
    taken = seconds_in_turns({"spectrum": spectrum, "checked": checked}, 41)
    say("784-128-64-10 (P = 109,386), one sample, float64, one core: all nonzero eigenvalues")
    say(f"  {len(spectrum())} eigenvalues, K included:   {taken['spectrum']}")
    say(f"  with the check by double backward: {taken['checked']}")
    say(f"  extra peak memory: {memory / 2**20:.1f} MiB\n")


def tiny_spectrum(labels: torch.Tensor) -> None:
    """Load what a spectrum needs of libraries."""
    ExactHessian(
        perceptron(4, 3, 10), functional.cross_entropy, torch.ones(1, 4, dtype=torch.float64), labels
    ).eigenvalues()


def against_dense(_threads: int) -> None:
    """The same spectrum by the dense matrix."""
    torch.set_num_threads(1)
    model, (images, labels) = perceptron(784, 8, 16, 10), batch_of(1)
    count = sum(parameter.numel() for parameter in model.parameters())
    found: dict[str, torch.Tensor] = {}

    def exact() -> None:
        found["exact"] = ExactHessian(model, functional.cross_entropy, images, labels, check=False).eigenvalues()

    def checked() -> None:
        ExactHessian(model, functional.cross_entropy, images, labels).eigenvalues()

    def dense() -> None:
        found["dense"] = symmetric_eigenvalues(dense_hessian(model, images, labels))

    fast = seconds_in_turns({"exact": exact, "checked": checked}, 21)
    slow = seconds_in_turns({"dense": dense}, 1, warm_up=0)["dense"]
    padded = torch.zeros(count, dtype=torch.float64)
    padded[: len(found["exact"])] = found["exact"]
    error = (padded.sort().values - found["dense"]).abs().max() / found["dense"].abs().max()
    say(f"784-8-16-10 (P = {count:,}), one sample, float64, one core: exact against dense matrix and its eigenvalues")
    say(f"  exact   {fast['exact']}")
    say(f"  checked {fast['checked']}, by double backward")
    ratios = [f"{slow.median / seconds.median:,.0f}" for seconds in fast.values()]
    say(f"  dense   {slow.median:9.2f} s (once): {ratios[0]} times as long as exact, {ratios[1]} as checked")
    say(f"  largest difference of eigenvalues over the largest: {error:.1e}\n")


def dense_hessian(model: nn.Module, images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Return the Hessian as ``torch.func`` computes it, forward over reverse, shape [P, P]."""
    parameters = {name: parameter.detach() for name, parameter in model.named_parameters()}
    sizes = [parameter.numel() for parameter in parameters.values()]

    def loss(flat: torch.Tensor) -> torch.Tensor:
        pieces = torch.split(flat, sizes)
        named = {name: piece.view_as(parameters[name]) for name, piece in zip(parameters, pieces, strict=True)}
        return functional.cross_entropy(torch.func.functional_call(model, named, (images,)), labels)

    return torch.func.hessian(loss)(torch.cat([parameter.flatten() for parameter in parameters.values()]))


def spectra_of_a_batch(threads: int) -> None:
    """The spectra of 64 samples at once."""
    torch.set_num_threads(threads)
    model, (images, labels) = perceptron(784, 64, 10), batch_of(64)
    taken = seconds_in_turns(
        {"batch": lambda: PerSampleHessians(model, functional.cross_entropy, images, labels).eigenvalues()}, 21
    )["batch"]
    say(f"784-64-10, 64 samples, float64, {threads} threads: every sample's spectrum")
    say(f"  {taken}\n")


def training_steps(threads: int) -> None:
    """Steps of exact Newton against a step of SGD on the same batch."""
    torch.set_num_threads(threads)
    images, labels = batch_of(128, torch.float32)
    sides = {
        "SGD": ("sgd", {}),
        "layerwise": ("exact_newton", {"variant": "layerwise"}),
        "joint Gauss-Newton": ("exact_newton", {"variant": "joint_gauss_newton"}),
    }
    steps = {}
    for name, (optimizer, settings) in sides.items():
        model = perceptron(784, 128, 64, 10, dtype=torch.float32)
        module = optim.load(optimizer)
        built = module.build(list(model.parameters()), module.Settings(**settings, learning_rate=1e-4))
        steps[name] = Step(model, built, images, labels)
    taken = seconds_in_turns(steps, 61, warm_up=5)
    say(f"784-128-64-10 (ReLU), batch 128, float32, {threads} threads: one training step")
    for name, seconds in taken.items():
        say(f"  {name:20} {seconds}  {seconds.median / taken['SGD'].median:6.2f} × SGD")
    say()


class Step:
    """One training step on the same batch each time."""

    def __init__(self, model: nn.Module, optimizer: Optimizer, images: torch.Tensor, labels: torch.Tensor) -> None:
        self._model, self._optimizer, self._images, self._labels = model, optimizer, images, labels
        self._work = Work(len(labels))

    def __call__(self) -> None:
        """Take it."""
        objective = Objective(self._model, functional.cross_entropy, self._images, self._labels, self._work)
        self._optimizer.step(objective, 1.0)


if __name__ == "__main__":
    main()
