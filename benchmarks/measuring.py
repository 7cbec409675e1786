"""Medians of seconds, of several sides in turns, and the peak memory of one call."""

import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch

from secondorder.training.device import peak_memory_bytes, reset_peak_memory


@dataclass(frozen=True)
class Seconds:
    """Repeated measurements of one side.

    Attributes:
        median: The median.
        low: The lower quartile.
        high: The upper quartile.
    """

    median: float
    low: float
    high: float

    def __str__(self) -> str:
        """Return milliseconds for people."""
        return f"{self.median * 1e3:9.2f} ms ({self.low * 1e3:.2f}–{self.high * 1e3:.2f})"


def seconds_in_turns(sides: Mapping[str, Callable[[], object]], repeats: int, warm_up: int = 2) -> dict[str, Seconds]:
    """Measure each side once per turn, so that a disturbance of the machine meets all of them.

    Args:
        sides: What to measure, by name.
        repeats: Turns that count.
        warm_up: Turns before them.
    """
    taken: dict[str, list[float]] = {name: [] for name in sides}
    for turn in range(warm_up + repeats):
        for name, call in sides.items():
            started = time.perf_counter()
            call()
            if turn >= warm_up:
                taken[name].append(time.perf_counter() - started)
    quartiles = {name: np.quantile(values, [0.5, 0.25, 0.75]) for name, values in taken.items()}
    return {name: Seconds(*(float(value) for value in values)) for name, values in quartiles.items()}


def extra_memory_bytes(call: Callable[[], object], warm_up: Callable[[], object]) -> int:
    """Return by how much a call raises this process's peak resident memory above what it holds before.

    Args:
        call: What to measure. Memory that an earlier call left with the allocator would not count, so measure it first.
        warm_up: Loads the libraries that the call needs, with as little memory as possible.
    """
    warm_up()
    device = torch.device("cpu")
    reset_peak_memory(device)
    before = peak_memory_bytes(device)
    call()
    return peak_memory_bytes(device) - before


def say(line: str = "") -> None:
    """Write a line."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
