"""The device that training runs on: which, how deterministic, how synchronised, how much memory."""

import contextlib
import os
import resource
import sys
from pathlib import Path
from typing import Any

import torch

from secondorder.errors import ConfigurationError

_PEAK_RESET = Path("/proc/self/clear_refs")
_PROCESS_STATUS = Path("/proc/self/status")


def resolve_device(name: str) -> torch.device:
    """Return the device that ``auto``, ``cpu`` or ``cuda`` stands for here.

    Raises:
        ConfigurationError: ``cuda`` is asked for and PyTorch sees no CUDA device.
    """
    if name == "cuda" and not torch.cuda.is_available():
        raise ConfigurationError("device is 'cuda' and PyTorch sees no CUDA device; use 'auto' or 'cpu'")
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device("cuda", torch.cuda.current_device()) if name == "cuda" else torch.device("cpu")


def make_deterministic(threads: int) -> dict[str, Any]:
    """Fix what changes the bits of a result on one machine, and return the settings for the manifest.

    Deterministic algorithms are asked for with a warning instead of an error where PyTorch has none.
    """
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cuda.matmul.allow_tf32 = False
    return {
        "threads": threads,
        "deterministic_algorithms": True,
        "cudnn_benchmark": False,
        "tf32": False,
        "cublas_workspace": os.environ["CUBLAS_WORKSPACE_CONFIG"],
    }


def synchronise(device: torch.device) -> None:
    """Wait for the device to finish what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def reset_peak_memory(device: torch.device) -> None:
    """Start to measure the peak memory anew, where the system can; Linux and CUDA can."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        return
    with contextlib.suppress(OSError):
        _PEAK_RESET.write_text("5", encoding="ascii")


def peak_memory_bytes(device: torch.device) -> int:
    """Return the peak memory since it was reset: allocated on a CUDA device, resident of this process on the CPU."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    with contextlib.suppress(OSError):
        for line in _PROCESS_STATUS.read_text(encoding="utf-8").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def device_name(device: torch.device) -> str:
    """Return the name of the device for the manifest."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"
