"""The manifest of a tier: everything that its results come from, and the sums by which they are known.

It holds no path and no name of a machine, so that it can lie beside results anywhere.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from secondorder.errors import ResultError
from secondorder.files import file_digest
from secondorder.provenance.comparison import is_of_tier
from secondorder.provenance.manifest import read_manifest

PACKAGES = (
    "curvlinops-for-pytorch",
    "jinja2",
    "matplotlib",
    "mlxtend",
    "pandas",
    "pydantic",
    "pyyaml",
    "seaborn",
    "tabulate",
    "torchvision",
    "tqdm",
)
"""Packages whose versions a tier's manifest names beside those of a run's."""

_OF_RUN = ("seeds", "device", "machine", "determinism", "commit", "wall_seconds", "files")


@dataclass(frozen=True)
class TableRecord:
    """By what a table is known.

    Attributes:
        sha256: Digest of the file.
        bytes: Its size.
        timed: Whether it holds seconds, so that a second execution writes another file.
    """

    sha256: str
    bytes: int
    timed: bool


@dataclass(frozen=True)
class RunRecord:
    """What a tier's manifest holds of a run.

    Attributes:
        manifest_sha256: Digest of the run's manifest.
        code: Digest of the source files that decide its result.
        seeds: ``seed``, ``status`` and ``diverged_at_step`` of each seed.
        device: ``type`` and ``name`` of what it was trained on.
        machine: The kind of machine it was trained on.
        determinism: The settings that fix its bits, threads among them.
        commit: ``revision`` and ``dirty`` of the checkout that trained it; empty where it was none.
        wall_seconds: Seconds that the training of all seeds took.
        files: Digests of its files by name.
    """

    manifest_sha256: str
    code: str
    seeds: Sequence[Mapping[str, Any]]
    device: Mapping[str, str]
    machine: Mapping[str, str]
    determinism: Mapping[str, Any]
    commit: Mapping[str, Any]
    wall_seconds: float
    files: Mapping[str, str]


@dataclass(frozen=True)
class TierManifest:
    """The manifest of a tier.

    Attributes:
        tier: The tier.
        commit: ``revision`` of the checkout that wrote the manifest and whether it is ``dirty``, that is, has
            uncommitted changes; None where the package ran from no checkout. Runs have their own.
        configuration: All resolved values, less the folder of data.
        configuration_sha256: Digest of them.
        environment: Versions of Python and of packages.
        hardware: Processor, cores, memory and GPUs of the machine that wrote the manifest. Runs have their own.
        data: By dataset ``sha256`` of its prepared arrays, whether all of its sources are ``verified``, and ``files``,
            its sources, each with ``sha256``, ``bytes`` and ``verified``.
        runs: By problem and run.
        tables: The tables that figures and tables read, by their paths below the tier's results.
    """

    tier: str
    commit: Mapping[str, Any] | None
    configuration: Mapping[str, Any]
    configuration_sha256: str
    environment: Mapping[str, str]
    hardware: Mapping[str, Any]
    data: Mapping[str, Mapping[str, Any]]
    runs: Mapping[str, Mapping[str, RunRecord]]
    tables: Mapping[str, TableRecord]

    def to_mapping(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return asdict(self)

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> "TierManifest":
        """Return the manifest held in ``values``, as :meth:`to_mapping` wrote it.

        Raises:
            TypeError: A field is unknown or missing.
        """
        given = {name: value for name, value in values.items() if name != "format_version"}
        runs = {
            problem: {run: RunRecord(**record) for run, record in records.items()}
            for problem, records in given.pop("runs").items()
        }
        tables = {name: TableRecord(**record) for name, record in given.pop("tables").items()}
        return cls(**given, runs=runs, tables=tables)

    @property
    def commit_sentence(self) -> str:
        """What is known of the commit, in a sentence."""
        if self.commit is None:
            return "Commit unknown: the package ran from no git checkout."
        state = "with uncommitted changes" if self.commit["dirty"] else "without uncommitted changes"
        return f"Commit {self.commit['revision']}, {state}."

    @property
    def all_runs(self) -> dict[tuple[str, str], RunRecord]:
        """The runs by problem and name in one mapping."""
        return {(problem, run): record for problem, records in self.runs.items() for run, record in records.items()}

    @property
    def training_seconds(self) -> float:
        """Seconds that the training of all runs took, one after the other."""
        return sum(record.wall_seconds for record in self.all_runs.values())


def build_tier_manifest(
    configuration: Mapping[str, Any],
    commit: Mapping[str, Any],
    environment: Mapping[str, str],
    hardware: Mapping[str, Any],
    data_manifests: Iterable[Mapping[str, Any]],
    run_manifests: Iterable[tuple[Mapping[str, Any], str]],
    tables: Mapping[str, TableRecord],
) -> TierManifest:
    """Return the manifest of a tier.

    Args:
        configuration: All resolved values, without any that name a place on a machine.
        commit: ``revision`` and ``dirty``; empty where there is no checkout.
        environment: Versions of Python and of packages.
        hardware: Processor, cores, memory and GPUs.
        data_manifests: The manifests of the prepared datasets.
        run_manifests: The manifest of each run, with the digest of its file.
        tables: The tables that figures and tables read, by their paths below the tier's results.
    """
    runs: dict[str, dict[str, RunRecord]] = {}
    for manifest, digest in run_manifests:
        specification = manifest["specification"]
        record = RunRecord(digest, manifest["code"]["digest"], **{name: manifest[name] for name in _OF_RUN})
        runs.setdefault(specification["problem"], {})[specification["run"]] = record
    return TierManifest(
        tier=configuration["tier"],
        commit=commit or None,
        configuration=configuration,
        configuration_sha256=values_digest(configuration),
        environment=environment,
        hardware=hardware,
        data={manifest["name"]: _data_record(manifest) for manifest in data_manifests},
        runs=runs,
        tables=tables,
    )


def _data_record(manifest: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "sha256": manifest["sha256"],
        "verified": manifest["verified"],
        "files": {
            file["name"]: {name: file[name] for name in ("sha256", "bytes", "verified")} for file in manifest["files"]
        },
    }


def values_digest(values: Mapping[str, Any]) -> str:
    """Return the sha256 of plain values, whatever the order of their keys."""
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def table_record(path: Path) -> TableRecord:
    """Return by what a Parquet file is known; it is timed when a column holds seconds.

    Raises:
        ResultError: It cannot be read.
    """
    try:
        columns = pq.read_schema(path).names
    except (OSError, ValueError) as error:
        raise ResultError(f"{path}: cannot be read as a table ({error}); delete it and run again") from None
    timed = any(column.endswith("seconds") for column in columns)
    return TableRecord(file_digest(path), path.stat().st_size, timed)


def read_tier_manifest(path: Path) -> TierManifest:
    """Read the manifest of a tier.

    Raises:
        ResultError: It is missing, or not the manifest of a tier.
    """
    values = read_manifest(path)
    try:
        if not is_of_tier(values):
            raise TypeError("it has no runs")
        return TierManifest.from_mapping(values)
    except (TypeError, AttributeError, KeyError) as error:
        raise ResultError(f"{path}: is not the manifest of a tier ({error}); delete it and run again") from None
