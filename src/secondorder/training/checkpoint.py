"""Checkpoints: written whole or not at all, read without executing anything, used only where they belong."""

from pathlib import Path
from typing import Any

import torch

from secondorder.files import atomic_path


def save_checkpoint(path: Path, identity: str, state: dict[str, Any]) -> None:
    """Write ``state`` under ``identity``, the digest of everything that decides the training's bits."""
    with atomic_path(path) as temporary:
        torch.save({"identity": identity, "state": state}, temporary)


def load_checkpoint(path: Path, identity: str) -> dict[str, Any] | None:
    """Return the state saved at ``path``, or None when there is none that belongs to ``identity``.

    A file that cannot be read, or that was written by other code, settings or data, is as good as none: training starts
    again and replaces it.
    """
    try:
        saved = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        return None
    except Exception:  # whatever a damaged file makes the reader raise, it means the same
        return None
    if not isinstance(saved, dict) or saved.get("identity") != identity:
        return None
    state: dict[str, Any] = saved["state"]
    return state
