"""Checkpoints: written whole or not at all, read without executing anything, used only where they belong."""

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from secondorder.files import atomic_path


def save_checkpoint(path: Path, identity: str, state: dict[str, Any]) -> None:
    """Write ``state`` under ``identity``, the digest of everything that decides the training's bits."""
    with atomic_path(path) as temporary:
        torch.save({"identity": identity, "state": state}, temporary)


def load_checkpoint(path: Path, identity: str, report: Callable[[str], None]) -> dict[str, Any] | None:
    """Return the state saved at ``path``, or None when there is none that belongs to ``identity``.

    A file that cannot be read, or that was written by other code, settings or data, is as good as none: training starts
    again and replaces it.

    Args:
        path: The checkpoint file.
        identity: Digest of everything that decides the training's bits.
        report: Takes a line when a file is there and not used.
    """
    if not path.exists():
        return None
    try:
        with zipfile.ZipFile(path) as archive:  # torch writes the records' checksums and does not check them
            if archive.testzip() is not None:
                raise zipfile.BadZipFile
        saved = torch.load(path, map_location="cpu", weights_only=True)
        state: dict[str, Any] = saved["state"]
        belongs = saved["identity"] == identity
    except Exception as error:  # whatever a damaged file makes the reader raise, it means the same
        report(f"{path.name}: is damaged ({type(error).__name__}) and not used")
        return None
    if not belongs:
        report(f"{path.name}: is from other code, settings or data and not used")
        return None
    return state
