"""Measuring seconds and memory in a process of its own, so that nothing that ran before counts as either."""

import contextlib
import ctypes
import multiprocessing
import statistics
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import torch

# PyTorch imports it, which is slow, at the first batched derivative; every measuring process would do so by itself.
import torch.fx.experimental.symbolic_shapes

from secondorder.training.device import peak_memory_bytes, reset_peak_memory

_CPU = torch.device("cpu")
Result = TypeVar("Result")


def in_a_process(function: Callable[..., Result], *arguments: Any) -> Result:
    """Return what a function returns in a fresh process with one thread.

    The process is forked, so that it imports nothing and starts in milliseconds.

    Args:
        function: A function of a module.
        arguments: Its arguments. Arrays have to be NumPy's, and so have those it returns: tensors would share memory
            with this process, whose files can run out.
    """
    with multiprocessing.get_context("fork").Pool(1, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        return pool.apply(function, arguments)


def peak_memory_of(task: Callable[[], Result]) -> tuple[Result, int]:
    """Return what a task returns, and by how many bytes the process's resident memory grew at its peak.

    Freed memory goes back to the system first, where the C library can do that: used again it would not be seen.
    """
    with contextlib.suppress(AttributeError, OSError, TypeError):
        ctypes.CDLL(None).malloc_trim(0)
    reset_peak_memory(_CPU)
    before = peak_memory_bytes(_CPU)
    result = task()
    return result, peak_memory_bytes(_CPU) - before


def spread(seconds: Sequence[float]) -> dict[str, float]:
    """Return the median of repetitions as ``seconds``, and the ``fastest`` and the ``slowest``."""
    return {"seconds": statistics.median(seconds), "fastest": min(seconds), "slowest": max(seconds)}
