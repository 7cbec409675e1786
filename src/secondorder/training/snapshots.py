"""Snapshots: a network's weights at stated shares of the budget, kept so that its curvature can be studied later."""

import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from secondorder.errors import ResultError
from secondorder.files import atomic_path

_SPENT = "spent"


@dataclass(frozen=True)
class SnapshotMoment:
    """When a snapshot was taken.

    Attributes:
        seed: The seed of the training.
        share: The share of the budget that was asked for, in [0, 1].
        spent: The share that was spent at the evaluation where it was taken, the first at or after ``share``. A last
            step can spend more than the budget, so it can be above 1.
    """

    seed: int
    share: float
    spent: float


class Snapshots:
    """The snapshots of one seed's training.

    Args:
        seed: The seed.
        shares: The shares of the budget at which to take one, in ascending order.
    """

    def __init__(self, seed: int, shares: Iterable[float]) -> None:
        self._seed = seed
        self._due = [float(share) for share in shares]
        self._taken: dict[str, dict[str, Any]] = {}

    def take(self, model: nn.Module, spent: float, rounding: float) -> None:
        """Keep the weights and buffers once for each share that is due and not yet taken.

        Args:
            model: The network.
            spent: Share of the budget that is spent.
            rounding: Share by which the sum of the work may fall short of what it stands for.
        """
        for share in self._due:
            if repr(share) not in self._taken and spent + rounding >= share:
                weights = {name: value.detach().to("cpu", copy=True) for name, value in model.state_dict().items()}
                self._taken[repr(share)] = {_SPENT: spent, "weights": weights}

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return them as arrays by ``seed/share/parameter name``, and the share that was spent by ``seed/share``."""
        arrays: dict[str, NDArray[Any]] = {}
        for share, kept in self._taken.items():
            arrays[f"{self._seed}/{share}"] = np.array(kept[_SPENT])
            arrays |= {f"{self._seed}/{share}/{name}": value.numpy() for name, value in kept["weights"].items()}
        return arrays

    def state_dict(self) -> dict[str, Any]:
        """Return the snapshots taken so far."""
        return dict(self._taken)

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over snapshots from :meth:`state_dict`."""
        self._taken = dict(state)


def write_snapshots(arrays: Iterable[Mapping[str, NDArray[Any]]], target: Path) -> None:
    """Write the snapshots of all seeds into one npz file, uncompressed, whole or not at all."""
    together = {name: array for of_seed in arrays for name, array in of_seed.items()}
    with atomic_path(target) as temporary, temporary.open("wb") as stream:
        np.savez(stream, **together)  # type: ignore[arg-type]


def list_snapshots(path: Path) -> list[SnapshotMoment]:
    """Return when the snapshots in a file were taken, in the order of the file.

    Raises:
        ResultError: The file cannot be read.
    """
    with _opened(path) as archive:
        moments = [name.split("/") for name in archive.files if name.count("/") == 1]
        return [SnapshotMoment(int(seed), float(share), float(archive[f"{seed}/{share}"])) for seed, share in moments]


def load_snapshot(path: Path, seed: int, share: float) -> dict[str, torch.Tensor]:
    """Return the weights and buffers of one snapshot by name, as ``load_state_dict`` takes them.

    Args:
        path: The file that a run left.
        seed: The seed.
        share: The share of the budget under which the snapshot was asked for.

    Raises:
        ResultError: The file cannot be read, or holds no such snapshot.
    """
    prefix = f"{seed}/{float(share)!r}/"
    with _opened(path) as archive:
        weights = {
            name.removeprefix(prefix): torch.from_numpy(archive[name])
            for name in archive.files
            if name.startswith(prefix)
        }
    if not weights:
        held = ", ".join(f"seed {moment.seed} at {moment.share:g}" for moment in list_snapshots(path)) or "none"
        raise ResultError(
            f"{path}: holds no snapshot of seed {seed} at share {share:g}; it holds {held}; "
            "add the share to `snapshots` and train again"
        )
    return weights


def _opened(path: Path) -> Any:
    """Return the archive; whoever opens it closes it."""
    try:
        return np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise ResultError(f"{path}: cannot be read as snapshots ({error}); delete its folder and run again") from None
