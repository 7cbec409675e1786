"""The hardware that this process runs on, and that a run was trained on, without the machine's name."""

import os
import shutil
import subprocess
from collections.abc import Mapping
from typing import Any

from secondorder.provenance.manifest import machine

_SECONDS_TO_ANSWER = 20


def hardware() -> dict[str, Any]:
    """Return the kind of machine and processor, the cores this process may use, the memory in bytes, and the GPUs."""
    return {**machine(), "cores": _cores(), "memory_bytes": _memory_bytes(), "gpus": _gpus()}


def _cores() -> int | None:
    # A container or a batch system may allow fewer than the machine has.
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def _memory_bytes() -> int | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError):
        return None


def _gpus() -> list[str]:
    """Return the names of the GPUs, as the driver's own program lists them: PyTorch takes seconds to be asked."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return []
    question = [program, "--query-gpu=name", "--format=csv,noheader"]
    try:
        # The driver's program, asked with fixed words.
        answer = subprocess.run(  # noqa: S603
            question, capture_output=True, text=True, check=True, timeout=_SECONDS_TO_ANSWER
        )
    except (OSError, subprocess.SubprocessError):
        return []
    return [line.strip() for line in answer.stdout.splitlines() if line.strip()]


def trained_on(manifest: Mapping[str, Any]) -> str:
    """Return the kind of device that a run was trained on with its name: of a CPU, the processor's.

    Args:
        manifest: The run's.
    """
    device, machine = manifest["device"], manifest["machine"]
    name: str = device["name"]
    if name == "cpu":
        name = machine["processor"] or machine["machine"]
    return f"{device['type']} ({name})"
