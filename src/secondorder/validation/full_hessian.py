"""The Hessian of a perceptron's training loss over a whole data set: every eigenvalue, of every entry.

P² numbers have to fit into the memory, and their sum runs over all images, so that the perceptron is a narrow one.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
import pandas as pd
import torch
from torch import nn

from secondorder.data.dataset import Dataset
from secondorder.problems import mnist_mlp
from secondorder.problems.problem import Problem
from secondorder.training.batches import BatchOrder, DeviceSplit, evenly_spaced
from secondorder.training.device import device_name, peak_memory_bytes, reset_peak_memory, synchronise
from secondorder.validation.accumulated_hessian import accumulated_hessian
from secondorder.validation.certified_spectrum import certify, eigenpairs
from secondorder.validation.networks import initialised

_SEED = 0
Result = TypeVar("Result")


@dataclass(frozen=True)
class Fitting:
    """The perceptron, and what is done with it before its Hessian is taken.

    Attributes:
        hidden: Widths of the hidden layers.
        images: Images that it is fitted to, and whose mean loss the Hessian is of, evenly spaced.
        epochs: Epochs of Adam; 0 leaves it as it is drawn.
        batch_size: Images of each of its steps.
    """

    hidden: Sequence[int]
    images: int
    epochs: int
    batch_size: int


def measure_full_hessian(dataset: Dataset, fitting: Fitting, device: torch.device) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the spectrum, one row per eigenvalue, and what it cost, one row per part of the work.

    Everything is in float64 and of the mean cross-entropy without a penalty.

    Args:
        dataset: Images of 28 x 28 pixels; those of the training and of the validation split are taken, since the
            perceptron is compared with no other.
        fitting: The perceptron.
        device: Where the matrix is computed and decomposed.

    Returns:
        Columns hidden (widths with - between), parameters, classes, images, epochs, loss and accuracy (a share, of the
        same images), those of :class:`~secondorder.validation.certified_spectrum.Certificate`, passed, index (0 for the
        smallest eigenvalue), eigenvalue and residual (‖Hv − λv‖; NaN where none was looked at); and part (``fit``,
        ``matrix``, ``eigenpairs``, ``certificate``), seconds, peak_memory_bytes and device.
    """
    clock = _Clock(device)
    problem = mnist_mlp.build(mnist_mlp.Settings(hidden="-".join(map(str, fitting.hidden))))
    split = _published_training_images(dataset, fitting.images, device)
    model = clock.timed("fit", lambda: _fitted(problem, split, fitting))
    inputs, targets = split.examples(split.images, split.labels)
    inputs = inputs.double()
    given = model, problem.loss, inputs, targets
    matrix = clock.timed("matrix", lambda: accumulated_hessian(*given))
    pairs = clock.timed("eigenpairs", lambda: eigenpairs(matrix))
    certificate, residuals = clock.timed("certificate", lambda: certify(pairs, *given))
    with torch.no_grad():
        outputs = model(inputs)
    about = {
        "hidden": "-".join(map(str, fitting.hidden)),
        "parameters": len(pairs.eigenvalues),
        "classes": len(dataset.class_names),
        "images": len(inputs),
        "epochs": fitting.epochs,
        "loss": float(problem.loss(outputs, targets)),
        "accuracy": float((outputs.argmax(1) == targets).double().mean()),
        **vars(certificate),
        "passed": certificate.passed,
    }
    found = pd.DataFrame({"eigenvalue": pairs.eigenvalues.cpu().numpy(), "residual": residuals.cpu().numpy()})
    numbers = found.assign(**about, index=np.arange(len(found)))
    return numbers[[*about, "index", *found]], pd.DataFrame(clock.rows)


def _published_training_images(dataset: Dataset, count: int, device: torch.device) -> DeviceSplit:
    images = np.concatenate([dataset.train_images, dataset.validation_images])
    labels = np.concatenate([dataset.train_labels, dataset.validation_labels])
    chosen = evenly_spaced(count, len(labels)).numpy()
    return DeviceSplit(images[chosen], labels[chosen], dataset, device)


def _fitted(problem: Problem, split: DeviceSplit, fitting: Fitting) -> nn.Module:
    """Return the network after its epochs of Adam with the step lengths of its paper, in evaluation mode."""
    model = initialised(problem.network, _SEED).double().to(split.images.device)
    optimizer = torch.optim.Adam(model.parameters())
    batches = BatchOrder(split, fitting.batch_size, _SEED, augmentation=None)
    while batches.epochs < fitting.epochs:
        inputs, targets = batches.next_batch()
        optimizer.zero_grad()
        problem.loss(model(inputs.double()), targets).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return model


@dataclass
class _Clock:
    """Seconds and peak memory of the parts of the work."""

    device: torch.device
    rows: list[dict[str, Any]] = field(default_factory=list)

    def timed(self, part: str, task: Callable[[], Result]) -> Result:
        reset_peak_memory(self.device)
        started = time.perf_counter()
        result = task()
        synchronise(self.device)
        self.rows.append(
            {
                "part": part,
                "seconds": time.perf_counter() - started,
                "peak_memory_bytes": peak_memory_bytes(self.device),
                "device": device_name(self.device),
            }
        )
        return result
