"""Keeping the metrics of a finished tier: compact copies of tables, and a manifest that vouches for them."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from secondorder.archive.kept import sealed
from secondorder.archive.layout import JOBS, MANIFEST, RUNS
from secondorder.archive.runs import runs_table
from secondorder.errors import ResultError
from secondorder.files import atomic_path, file_digest, write_text
from secondorder.provenance.hardware import trained_on


def keep_metrics(
    tables: Mapping[str, Path], manifests: Sequence[Mapping[str, Any]], jobs: pa.Table, folder: Path
) -> list[str]:
    """Copy tables compactly, with the manifests of all runs and what jobs took; whatever else lay in the folder goes.

    Args:
        tables: The tables by the path to keep each at, below the folder.
        manifests: The manifests of all runs.
        jobs: What every job took; see :func:`~secondorder.archive.jobs.jobs_table`.
        folder: Of the kept metrics of the tier.

    Returns:
        The paths of the kept files below the folder.

    Raises:
        ResultError: A copy does not hold what its table holds.
    """
    for left in folder.rglob("*"):
        if left.is_file():
            left.unlink()
    for name, source in tables.items():
        write_compact(pq.read_table(source), folder / name)
    write_compact(runs_table(manifests), folder / RUNS)
    write_compact(jobs, folder / JOBS)
    return [*tables, RUNS, JOBS]


def write_compact(table: pa.Table, target: Path) -> None:
    """Write a table as small as Parquet makes it without loss, and read it again to see that nothing was lost.

    Raises:
        ResultError: What was written differs.
    """
    with atomic_path(target) as temporary:
        pq.write_table(table, temporary, compression="zstd", compression_level=19, use_dictionary=True)
        if not pq.read_table(temporary).equals(table, check_metadata=True):
            raise ResultError(f"{target}: the copy differs from its table; write the table anew, then keep it again")


def write_kept_manifest(folder: Path, names: Iterable[str], described: Mapping[str, Any]) -> None:
    """Write the manifest of kept files: their sums and sizes, what they are, and a sum over all of that.

    Args:
        folder: Where the files lie.
        names: Their paths below it.
        described: What they are; see :func:`description`.
    """
    files = {
        name: {"sha256": file_digest(folder / name), "bytes": (folder / name).stat().st_size} for name in sorted(names)
    }
    write_text(folder / MANIFEST, json.dumps(sealed({**described, "files": files}), indent=1) + "\n")


def description(
    configuration: Mapping[str, Any],
    manifests: Sequence[Mapping[str, Any]],
    whole_run: Mapping[str, Any],
    kept_by: Mapping[str, Any],
    kept_on: str,
) -> dict[str, Any]:
    """Return what the manifest of kept metrics says besides its files.

    Args:
        configuration: The resolved configuration, as plain values.
        manifests: The manifests of all runs.
        whole_run: The manifest of the whole tier.
        kept_by: Commit and versions of what kept them.
        kept_on: The day, as YYYY-MM-DD.
    """
    return {
        "tier": configuration["tier"],
        "configuration": kept_configuration(configuration),
        "made_by": {
            "commits": _distinct(manifest["commit"] for manifest in manifests if manifest["commit"]),
            "environments": _distinct(manifest["environment"] for manifest in manifests),
            "hardware": _distinct(trained_on(manifest) for manifest in manifests),
            "wall_seconds": round(sum(manifest["wall_seconds"] for manifest in manifests), 3),
        },
        "data": {name: data for data in _distinct(m["data"] for m in manifests) for name in [data["name"]]},
        "whole_run": whole_run,
        "kept_by": dict(kept_by),
        "kept_on": kept_on,
    }


def kept_configuration(configuration: Mapping[str, Any]) -> dict[str, Any]:
    """Return a resolved configuration without what holds on one machine alone, and without a reference of no run."""
    kept = {**configuration, "data": {**configuration["data"], "folder": None}}
    if kept["statistics"]["reference"] not in kept["runs"]:
        kept["statistics"] = {key: value for key, value in kept["statistics"].items() if key != "reference"}
    return kept


def _distinct(values: Iterable[Any]) -> list[Any]:
    found = {json.dumps(value, sort_keys=True): value for value in values}
    return [found[text] for text in sorted(found)]
