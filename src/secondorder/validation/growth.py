"""What the closed form and the dense matrix cost as a network grows: seconds, memory, and the error they leave.

Each is measured in a process of its own with one thread, so that nothing that ran before counts as memory: what is
reported is the peak resident memory above what the process held when it began.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch.nn import functional

from secondorder.curvature.exact_hessian import ExactHessian
from secondorder.validation.dense import dense_hessian
from secondorder.validation.exact_hessian import DAMPING, eigenvalue_error
from secondorder.validation.measuring import in_a_process, peak_memory_of, spread
from secondorder.validation.networks import CLASSES, SIDE, initialised, perceptron

_NUMBER_BYTES = 8
_WARM_UP_WIDTH = 3


@dataclass(frozen=True)
class Limits:
    """How far the dense matrix is followed.

    Attributes:
        parameters: Largest P whose dense Hessian is computed.
        memory_bytes: Memory that the matrix, 8 P² bytes, may take.
    """

    parameters: int
    memory_bytes: int

    def dense_status(self, parameters: int) -> str:
        """Return ``measured``, ``left out`` (it would take too long) or ``does not fit`` (into the memory)."""
        if _NUMBER_BYTES * parameters**2 > self.memory_bytes:
            return "does not fit"
        return "measured" if parameters <= self.parameters else "left out"


@dataclass(frozen=True)
class Measured:
    """What one process found.

    Attributes:
        rank: Eigenvalues that may differ from 0.
        eigenvalues: Those, ascending.
        certificate: Largest residual over the largest |eigenvalue|; NaN where there is none.
        seconds: Of each repetition.
        memory_bytes: Peak resident memory above the process's own.
    """

    rank: int
    eigenvalues: torch.Tensor
    certificate: float
    seconds: list[float]
    memory_bytes: int


def measure_growth(
    images: torch.Tensor, labels: torch.Tensor, widths: Sequence[int], repeats: int, limits: Limits
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return what does and what does not repeat bit for bit, one row per width and method each.

    The task is the same for both methods: all eigenvalues of one sample's Hessian and the absolute Newton direction,
    for a perceptron with two ReLU layers of the given width and cross-entropy.

    Args:
        images: One real image, shape (1, 1, 8, 8), float64.
        labels: Its label, shape (1,).
        widths: Widths of both hidden layers.
        repeats: Repetitions, of which the median counts.
        limits: How far the dense matrix is followed.

    Returns:
        Columns method (``exact`` or ``dense``), width, parameters, status, and then rank, matrix_bytes (8 P²),
        memory_limit_bytes, eigenvalue_error (max |λ̂ − λ| / max |λ| of the closed form, NaN where there is no dense
        matrix) and certificate; or seconds, fastest, slowest and memory_bytes.
    """
    numbers, timing = [], []
    for width in widths:
        parameters = count_parameters(width)
        status = limits.dense_status(parameters)
        exact = _measured("exact", width, images, labels, repeats)
        dense = _measured("dense", width, images, labels, repeats) if status == "measured" else None
        error = eigenvalue_error(exact.eigenvalues, dense.eigenvalues) if dense else torch.nan
        for method, measured, said in (("exact", exact, "measured"), ("dense", dense, status)):
            about = {"method": method, "width": width, "parameters": parameters, "status": said}
            numbers.append(
                {
                    **about,
                    "rank": measured.rank if measured else parameters,
                    "matrix_bytes": _NUMBER_BYTES * parameters**2,
                    "memory_limit_bytes": limits.memory_bytes,
                    "eigenvalue_error": error if method == "exact" else torch.nan,
                    "certificate": measured.certificate if measured else torch.nan,
                }
            )
            timing.append({**about, **_timing(measured)})
    return pd.DataFrame(numbers), pd.DataFrame(timing)


def count_parameters(width: int) -> int:
    """Return P of the perceptron with two hidden layers of one width."""
    return (SIDE * SIDE + 1) * width + (width + 1) * width + (width + 1) * CLASSES


def _timing(measured: Measured | None) -> dict[str, float]:
    if measured is None:
        return dict.fromkeys(("seconds", "fastest", "slowest", "memory_bytes"), torch.nan)
    return {**spread(measured.seconds), "memory_bytes": float(measured.memory_bytes)}


# The certificate is left to be called, because it is a check and no part of the task.
Found = tuple[int, torch.Tensor, Callable[[], float]]


def _exact(width: int, images: torch.Tensor, labels: torch.Tensor) -> Found:
    exact = ExactHessian(_network(width), functional.cross_entropy, images, labels)
    exact.newton_direction(DAMPING, adjustment="absolute")
    return exact.rank, exact.eigenvalues(), lambda: exact.certificate().relative


def _dense(width: int, images: torch.Tensor, labels: torch.Tensor) -> Found:
    dense = dense_hessian(_network(width), functional.cross_entropy, images, labels)
    dense.direction(DAMPING, "absolute", weight_decay=0.0)
    return len(dense.eigenvalues), dense.eigenvalues, lambda: torch.nan


_METHODS = {"exact": _exact, "dense": _dense}


def _network(width: int) -> torch.nn.Module:
    return initialised(partial(perceptron, [width, width], "relu"), seed=0)


def _measured(method: str, width: int, images: torch.Tensor, labels: torch.Tensor, repeats: int) -> Measured:
    given = images.numpy(), labels.numpy()
    rank, eigenvalues, certificate, seconds, memory = in_a_process(_measure, method, width, *given, repeats)
    return Measured(rank, torch.from_numpy(eigenvalues), certificate, seconds, memory)


def _measure(
    method: str, width: int, images: NDArray[np.float64], labels: NDArray[np.int64], repeats: int
) -> tuple[int, NDArray[np.float64], float, list[float], int]:
    given = torch.from_numpy(images), torch.from_numpy(labels)
    _METHODS[method](_WARM_UP_WIDTH, *given)  # libraries that load at first use are no cost of the method
    seconds = []

    def repeat() -> Found:
        for _ in range(repeats):
            started = time.perf_counter()
            found = _METHODS[method](width, *given)
            seconds.append(time.perf_counter() - started)
        return found

    (rank, eigenvalues, certificate), memory = peak_memory_of(repeat)
    return rank, eigenvalues.numpy(), certificate(), seconds, memory
