"""The manifest of a tier names everything that its results come from, and no place on a machine."""

import json
import platform
import tomllib
from pathlib import Path

import pandas as pd
import pytest
from packaging.requirements import Requirement

from secondorder.errors import ResultError
from secondorder.provenance import hardware as hardware_module
from secondorder.provenance.hardware import hardware
from secondorder.provenance.manifest import environment, write_manifest
from secondorder.provenance.tier_manifest import (
    PACKAGES,
    TableRecord,
    build_tier_manifest,
    read_tier_manifest,
    table_record,
    values_digest,
)

PYPROJECT = Path(__file__).resolve().parents[2] / "pyproject.toml"
RUN = {
    "specification": {"problem": "mnist_mlp", "run": "sgd"},
    "code": {"digest": "c" * 64, "files": {}},
    "seeds": [{"seed": 0, "status": "diverged", "diverged_at_step": 3}],
    "device": {"type": "cpu", "name": "cpu"},
    "machine": {"processor": "a processor"},
    "determinism": {"threads": 1},
    "commit": {"revision": "0123", "dirty": True},
    "wall_seconds": 2.5,
    "files": {"metrics.parquet": "e" * 64},
}
OTHER_RUN = {**RUN, "specification": {"problem": "mnist_lenet5", "run": "sgd"}, "wall_seconds": 1.0}
DATA = {
    "name": "mnist_5k",
    "sha256": "d" * 64,
    "verified": True,
    "licence": "any",
    "files": [{"name": "a.gz", "sha256": "a" * 64, "bytes": 7, "verified": True, "expected": "", "source": "cache"}],
}


def built(**changes):
    given = {
        "configuration": {"tier": "smoke", "seeds": 3},
        "commit": {"revision": "4567", "dirty": False},
        "environment": {"python": "3.11.7"},
        "hardware": {"cores": 2},
        "data_manifests": [DATA],
        "run_manifests": [(RUN, "1" * 64), (OTHER_RUN, "2" * 64)],
        "tables": {"curvature/growth.parquet": TableRecord("3" * 64, 10, timed=False)},
    }
    return build_tier_manifest(**{**given, **changes})


def test_what_is_written_is_read(tmp_path):
    write_manifest(tmp_path / "manifest.json", built().to_mapping())
    assert read_tier_manifest(tmp_path / "manifest.json") == built()


def test_runs_are_found_by_problem_and_name():
    manifest = built()
    record = manifest.runs["mnist_mlp"]["sgd"]
    assert (record.manifest_sha256, record.code, record.seeds) == ("1" * 64, "c" * 64, RUN["seeds"])
    assert list(manifest.all_runs) == [("mnist_mlp", "sgd"), ("mnist_lenet5", "sgd")]
    assert manifest.training_seconds == 3.5


def test_data_is_known_by_its_sum_and_those_of_its_sources():
    source = {"sha256": "a" * 64, "bytes": 7, "verified": True}
    assert built().data == {"mnist_5k": {"sha256": "d" * 64, "verified": True, "files": {"a.gz": source}}}


@pytest.mark.parametrize(
    ("commit", "sentence"),
    [
        ({"revision": "4567", "dirty": False}, "Commit 4567, without uncommitted changes."),
        ({"revision": "4567", "dirty": True}, "Commit 4567, with uncommitted changes."),
        ({}, "Commit unknown: the package ran from no git checkout."),
    ],
    ids=["clean", "dirty", "no checkout"],
)
def test_commit_in_a_sentence(commit, sentence):
    manifest = built(commit=commit)
    assert manifest.commit_sentence == sentence
    assert manifest.to_mapping()["commit"] == (commit or None)


def test_digest_of_values_depends_on_them_and_not_on_their_order():
    values = {"a": 1, "b": {"c": [1, 2], "d": 0.1}}
    assert values_digest(values) == values_digest({"b": {"d": 0.1, "c": [1, 2]}, "a": 1})
    assert values_digest(values) != values_digest({"a": 1, "b": {"c": [2, 1], "d": 0.1}})


@pytest.mark.parametrize(
    ("columns", "timed"),
    [(["loss", "bytes"], False), (["run", "seconds"], True), (["gradient_seconds"], True)],
    ids=["none", "seconds", "seconds of something"],
)
def test_table_with_seconds_is_timed(tmp_path, columns, timed):
    path = tmp_path / "table.parquet"
    pd.DataFrame([dict.fromkeys(columns, 1.0)]).to_parquet(path)
    record = table_record(path)
    assert (record.timed, record.bytes) == (timed, path.stat().st_size)


def test_table_that_is_none_is_refused_by_name(tmp_path):
    (tmp_path / "table.parquet").write_bytes(b"no table")
    with pytest.raises(ResultError, match=r"table\.parquet: cannot be read as a table"):
        table_record(tmp_path / "table.parquet")


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda values: values.pop("runs"), id="of a run"),
        pytest.param(lambda values: values.pop("hardware"), id="without a field"),
        pytest.param(lambda values: values.update(host="a"), id="with another field"),
        pytest.param(lambda values: values["runs"]["mnist_mlp"]["sgd"].pop("device"), id="a run without a field"),
        pytest.param(lambda values: values.update(tables=[]), id="tables without names"),
    ],
)
def test_what_is_no_manifest_of_a_tier_is_refused(tmp_path, change):
    values = json.loads(json.dumps(built().to_mapping()))
    change(values)
    write_manifest(tmp_path / "manifest.json", values)
    with pytest.raises(ResultError, match="is not the manifest of a tier"):
        read_tier_manifest(tmp_path / "manifest.json")


def test_versions_of_all_packages_that_the_project_asks_for_are_named():
    asked = tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))["project"]["dependencies"]
    assert {Requirement(line).name for line in asked} <= set(environment(PACKAGES))


def test_hardware_has_numbers_and_no_name_of_the_machine():
    found = hardware()
    assert set(found) == {"system", "machine", "processor", "instructions", "cores", "memory_bytes", "gpus"}
    assert found["cores"] >= 1
    assert found["memory_bytes"] > 2**20
    assert platform.node() not in map(str, found.values())


class Answer:
    stdout = "NVIDIA H200\nNVIDIA H200\n"


def fails(*arguments, **options):
    raise hardware_module.subprocess.CalledProcessError(9, "nvidia-smi")


@pytest.mark.parametrize(
    ("program", "answer", "names"),
    [
        pytest.param(None, fails, [], id="no driver"),
        pytest.param("nvidia-smi", lambda *arguments, **options: Answer, ["NVIDIA H200"] * 2, id="two"),
        pytest.param("nvidia-smi", fails, [], id="a driver that fails"),
    ],
)
def test_gpus_are_those_that_the_driver_lists(monkeypatch, program, answer, names):
    monkeypatch.setattr(hardware_module.shutil, "which", lambda name: program)
    monkeypatch.setattr(hardware_module.subprocess, "run", answer)
    assert hardware()["gpus"] == names
