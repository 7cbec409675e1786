"""Kept metrics of a tier, and the check that they are those that were kept."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from secondorder.archive.layout import MANIFEST
from secondorder.errors import ResultError
from secondorder.files import file_digest

FORMAT_VERSION = 1
SUM = "sha256"
"""Key of the manifest's sum over all of its other entries."""


@dataclass(frozen=True)
class KeptMetrics:
    """Kept metrics of a tier.

    Attributes:
        folder: Where they lie.
        manifest: What they say of themselves.
    """

    folder: Path
    manifest: Mapping[str, Any]

    @property
    def tier(self) -> str:
        """The tier that was measured."""
        return str(self.manifest["tier"])

    @property
    def configuration(self) -> Mapping[str, Any]:
        """The resolved configuration of that tier."""
        return dict(self.manifest["configuration"])

    @property
    def note(self) -> str:
        """The sentence that everything made of these metrics must carry: of which commit, machine and day they are."""
        made = self.manifest["made_by"]
        commits = [
            f"{commit['revision'][:12]}{' with uncommitted changes' if commit['dirty'] else ''}"
            for commit in made["commits"]
        ]
        return (
            f"Kept metrics of the tier {self.tier}: commit {'; '.join(commits) or 'unknown'}, made on "
            f"{'; '.join(made['hardware'])}, kept on {self.manifest['kept_on']}."
        )


def entries_digest(manifest: Mapping[str, Any]) -> str:
    """Return the sha256 over all entries of a manifest but its own sum, in their order, which figures follow too."""
    entries = {key: value for key, value in manifest.items() if key != SUM}
    return hashlib.sha256(json.dumps(entries, separators=(",", ":")).encode()).hexdigest()


def sealed(entries: Mapping[str, Any]) -> dict[str, Any]:
    """Return the entries of a manifest with its format and its sum."""
    manifest = {"format_version": FORMAT_VERSION, **entries}
    return {**manifest, SUM: entries_digest(manifest)}


def read_kept(folder: Path) -> KeptMetrics:
    """Read the manifest of kept metrics; the files themselves are checked by :func:`check_kept`.

    Raises:
        ResultError: It is missing, no manifest of this format, or was changed after it was written.
    """
    path = folder / MANIFEST
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise _refused(path, "is missing", folder) from None
    except (OSError, ValueError) as error:
        raise _refused(path, f"cannot be read as a manifest ({error})", folder) from None
    if not isinstance(manifest, dict) or manifest.get("format_version") != FORMAT_VERSION:
        raise _refused(path, f"is no manifest of format {FORMAT_VERSION}", folder)
    if manifest.get(SUM) != (found := entries_digest(manifest)):
        raise _refused(
            path, f"was changed after it was written: its sum is {manifest.get(SUM)}, its entries have {found}", folder
        )
    return KeptMetrics(folder, manifest)


def check_kept(kept: KeptMetrics) -> None:
    """Compare every file of kept metrics with the manifest.

    Raises:
        ResultError: Naming the first file that is missing, of another size or content, or not in the manifest.
    """
    folder, listed = kept.folder, kept.manifest["files"]
    for name, expected in listed.items():
        path = folder / name
        if not path.is_file():
            raise _refused(path, "is missing", folder)
        if (size := path.stat().st_size) != expected["bytes"]:
            raise _refused(path, f"has {size} bytes, not the {expected['bytes']} that were kept", folder)
        if (digest := file_digest(path)) != expected["sha256"]:
            raise _refused(path, f"was changed: its sha256 is {digest}, not the {expected['sha256']} kept", folder)
    for path in sorted(folder.rglob("*")):
        if path.is_file() and (name := path.relative_to(folder).as_posix()) != MANIFEST and name not in listed:
            raise ResultError(f"{path}: is not among the metrics that {folder / MANIFEST} lists; delete it")


def _refused(path: Path, problem: str, folder: Path) -> ResultError:
    return ResultError(
        f"{path}: {problem}; restore it with `git checkout -- {folder}`, or run the tier {folder.name} and keep its "
        f"metrics anew with `snakemake keep_metrics --config tier={folder.name}`"
    )
