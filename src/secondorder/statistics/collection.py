"""The results of a tier's runs, read together, each checked to be the result that was asked for."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from secondorder.errors import ResultError
from secondorder.files import file_digest
from secondorder.optim import used
from secondorder.provenance.code import training_code
from secondorder.provenance.manifest import read_manifest, require_match
from secondorder.training.layout import MANIFEST, METRICS, TIMING, VOUCHED_FOR
from secondorder.training.specification import RunSpecification


@dataclass(frozen=True)
class ExpectedRun:
    """What the result of one run must say of itself to be taken in.

    Attributes:
        folder: Where its files lie.
        experiment: The experiment fields of its specification.
        seeds: Its seeds.
        code_files: Digests of the source files it must have been made with.
        data_sha256: Digest of the dataset it must have been made with.
    """

    folder: Path
    experiment: Mapping[str, Any]
    seeds: Sequence[int]
    code_files: Mapping[str, str]
    data_sha256: str


@dataclass(frozen=True)
class CollectedRuns:
    """The rows of all runs of a tier.

    Attributes:
        metrics: Rows of all metrics files, with the columns ``problem`` and ``run`` in front.
        timing: Rows of all timing files, likewise.
        seeds: One row per problem, run and seed: ``status``, ``diverged_at_step``, ``data_verified``, ``device``.
    """

    metrics: pd.DataFrame
    timing: pd.DataFrame
    seeds: pd.DataFrame


def expected_runs(
    specifications: Sequence[RunSpecification], folders: Sequence[Path], data_manifests: Sequence[Path]
) -> list[ExpectedRun]:
    """Return what the results of the specified runs must say, with today's code and the prepared data.

    Args:
        specifications: The runs.
        folders: The folder of each run's files, in the same order.
        data_manifests: The manifests of all prepared datasets.
    """
    manifests = [json.loads(path.read_text(encoding="utf-8")) for path in data_manifests]
    digests = {manifest["name"]: manifest["sha256"] for manifest in manifests}
    return [
        ExpectedRun(
            folder=folder,
            experiment=specification.experiment(),
            seeds=specification.seeds,
            code_files=training_code(
                specification.problem_module, *used(specification.optimizer, specification.optimizer_settings)
            ),
            data_sha256=digests[specification.dataset],
        )
        for specification, folder in zip(specifications, folders, strict=True)
    ]


def collect_runs(expected: Sequence[ExpectedRun]) -> CollectedRuns:
    """Read the results of runs, refusing any that does not belong.

    Raises:
        ResultError: A result was made with other settings, code, data or seeds, or its files were changed since; the
            message names the first field that differs.
    """
    metrics, timing, seeds = [], [], []
    for run in expected:
        manifest = checked_manifest(run)
        names = {"problem": run.experiment["problem"], "run": run.experiment["run"]}
        metrics.append(pd.read_parquet(run.folder / METRICS).assign(**names))
        timing.append(pd.read_parquet(run.folder / TIMING).assign(**names))
        facts = {"data_verified": manifest["data"]["verified"], "device": manifest["device"]["name"]}
        seeds.append(pd.DataFrame(manifest["seeds"]).assign(**names, **facts))
    return CollectedRuns(*(pd.concat(frames, ignore_index=True) for frames in (metrics, timing, seeds)))


def checked_manifest(run: ExpectedRun) -> dict[str, Any]:
    """Return the manifest of a run's result that is whole and belongs.

    Raises:
        ResultError: As :func:`collect_runs`.
    """
    path = run.folder / MANIFEST
    manifest = read_manifest(path)
    wanted = {
        "specification": {**run.experiment, "seeds": list(run.seeds)},
        "data": {"sha256": run.data_sha256},
        "code": {"files": dict(run.code_files)},
    }
    found = {
        "specification": {key: manifest.get("specification", {}).get(key) for key in wanted["specification"]},
        "data": {"sha256": manifest.get("data", {}).get("sha256")},
        "code": {"files": manifest.get("code", {}).get("files")},
    }
    require_match(path, found, wanted)
    for name in VOUCHED_FOR:
        if not (run.folder / name).is_file():
            raise ResultError(f"{run.folder / name}: is missing; delete its folder and run again")
        if file_digest(run.folder / name) != manifest.get("files", {}).get(name):
            raise ResultError(
                f"{run.folder / name}: was changed after it was written (its sha256 is not the one in {MANIFEST}); "
                "delete its folder and run again"
            )
    return manifest
