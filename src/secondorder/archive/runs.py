"""The manifests of all runs in one file, because each is small and there are hundreds."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from secondorder.archive.layout import RUNS
from secondorder.provenance.manifest import read_manifest


def runs_table(manifests: Iterable[Mapping[str, Any]]) -> pa.Table:
    """Return the manifests of runs as a table of one column of JSON, a row for each."""
    texts = [json.dumps(manifest, sort_keys=True) for manifest in manifests]
    return pa.table({"manifest": pa.array(texts, pa.string())})


def read_run_manifests(paths: Sequence[Path]) -> list[dict[str, Any]]:
    """Return the manifests of runs: each in a file of its own, or all kept in one.

    Raises:
        ResultError: A file is missing or no manifest of this format.
    """
    return [manifest for path in paths for manifest in (_kept(path) if path.name == RUNS else [read_manifest(path)])]


def _kept(path: Path) -> list[dict[str, Any]]:
    return [json.loads(text) for text in pq.read_table(path).column("manifest").to_pylist()]
