"""Kept metrics hold what was measured, bit for bit, and are refused when they are not what was kept."""

import json
from pathlib import Path

import pandas as pd
import pytest

from secondorder.archive.jobs import jobs_table
from secondorder.archive.keeping import description, keep_metrics, kept_configuration, write_kept_manifest
from secondorder.archive.kept import check_kept, entries_digest, read_kept
from secondorder.archive.layout import JOBS, MANIFEST, RUNS
from secondorder.archive.runs import read_run_manifests
from secondorder.errors import ResultError
from secondorder.provenance.manifest import write_manifest

TABLE = pd.DataFrame({"run": ["sgd", "sgd", "adam"], "value": [0.1, float("nan"), float("inf")], "seed": [0, 1, 0]})
RUN = {
    "commit": {"revision": "0123456789abcdef", "dirty": True},
    "data": {"name": "mnist_5k", "sha256": "ab", "verified": True},
    "device": {"name": "cpu", "type": "cpu"},
    "environment": {"python": "3.11.7"},
    "format_version": 1,
    "machine": {"machine": "x86_64", "processor": "Some CPU", "system": "Linux"},
    "wall_seconds": 1.5,
}
CONFIGURATION = {
    "tier": "smoke",
    "runs": {"sgd": {}, "adam": {}},
    "data": {"folder": "somewhere/data", "allow_unverified": False},
    "statistics": {"reference": "sgd", "confidence": 0.95},
}
CURVES = "aggregated/mnist_mlp/curves.parquet"


@pytest.fixture
def folder(tmp_path):
    """Kept metrics of one table and two runs."""
    source, kept = tmp_path / "curves.parquet", tmp_path / "metrics" / "smoke"
    TABLE.to_parquet(source, index=False)
    (kept / "landscapes").mkdir(parents=True)
    (kept / "landscapes" / "old.parquet").write_bytes(b"of an earlier time")
    runs = [RUN, {**RUN, "wall_seconds": 2.0}]
    names = keep_metrics({CURVES: source}, runs, jobs_table(tmp_path / "benchmarks"), kept)
    write_kept_manifest(kept, names, description(CONFIGURATION, runs, None, {"commit": {}}, "2026-01-31"))
    return kept


def falsified(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def edited(path: Path, change, *, sealed: bool) -> None:
    """Change the manifest, with a new sum of its own or without one."""
    manifest = json.loads(path.read_text(encoding="utf-8"))
    change(manifest)
    if sealed:
        manifest["sha256"] = entries_digest(manifest)
    path.write_text(json.dumps(manifest), encoding="utf-8")


def test_what_was_kept_is_accepted(folder):
    check_kept(read_kept(folder))


def test_tables_keep_every_bit_and_type(folder):
    pd.testing.assert_frame_equal(pd.read_parquet(folder / CURVES), TABLE, check_exact=True)


def test_files_of_an_earlier_time_are_gone(folder):
    assert sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.*")) == [CURVES, JOBS, MANIFEST, RUNS]


def test_manifests_of_runs_come_back_in_order_from_one_file_or_many(folder, tmp_path):
    write_manifest(tmp_path / "own.json", RUN)
    read = read_run_manifests([folder / RUNS, tmp_path / "own.json"])
    assert read == [RUN, {**RUN, "wall_seconds": 2.0}, RUN]


def test_note_says_commit_machine_and_day(folder):
    assert read_kept(folder).note == (
        "Kept metrics of the tier smoke: commit 0123456789ab with uncommitted changes, made on cpu (Some CPU), kept on "
        "2026-01-31."
    )


def test_manifest_says_what_made_the_metrics(folder):
    manifest = read_kept(folder).manifest
    assert manifest["data"] == {"mnist_5k": RUN["data"]}
    assert manifest["made_by"]["wall_seconds"] == 3.5
    assert manifest["made_by"]["environments"] == [{"python": "3.11.7"}]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        pytest.param({}, {"folder": None, "reference": "sgd"}, id="no folder of this machine"),
        pytest.param({"runs": {"adam": {}}}, {"folder": None, "reference": None}, id="no reference of no run"),
    ],
)
def test_configuration_is_kept_without(change, expected):
    kept = kept_configuration({**CONFIGURATION, **change})
    assert {"folder": kept["data"]["folder"], "reference": kept["statistics"].get("reference")} == expected


@pytest.mark.parametrize(
    ("name", "damage", "complaint"),
    [
        pytest.param(CURVES, falsified, "was changed: its sha256 is", id="falsified"),
        pytest.param(CURVES, lambda path: path.write_bytes(path.read_bytes()[:-9]), r"has \d+ bytes", id="truncated"),
        pytest.param(CURVES, Path.unlink, "is missing", id="missing"),
        pytest.param(RUNS, falsified, "was changed", id="runs falsified"),
        pytest.param(MANIFEST, Path.unlink, "is missing", id="no manifest"),
        pytest.param(MANIFEST, lambda path: path.write_text("{"), "cannot be read as a manifest", id="half a manifest"),
        pytest.param("added.parquet", lambda path: path.write_bytes(b"x"), "is not among the metrics", id="added"),
        pytest.param(
            MANIFEST,
            lambda path: edited(path, lambda content: content.update(tier="paper"), sealed=False),
            "was changed after it was written",
            id="manifest edited",
        ),
        pytest.param(
            MANIFEST,
            lambda path: edited(path, lambda content: content["configuration"]["runs"].pop("sgd"), sealed=False),
            "was changed after it was written",
            id="a run left out",
        ),
        pytest.param(
            MANIFEST,
            lambda path: edited(path, lambda content: content.update(format_version=2), sealed=True),
            "is no manifest of format 1",
            id="manifest of another format",
        ),
        pytest.param(
            MANIFEST,
            lambda path: edited(path, lambda content: content["files"].pop(CURVES), sealed=True),
            "is not among the metrics",
            id="sealed anew without a file",
        ),
    ],
)
def test_damage_is_refused_in_one_line_that_names_file_and_remedy(folder, name, damage, complaint):
    damage(folder / name)
    with pytest.raises(ResultError, match=complaint) as refusal:
        check_kept(read_kept(folder))
    assert name in str(refusal.value)
    assert "\n" not in str(refusal.value)
    assert "git checkout" in str(refusal.value) or "delete it" in str(refusal.value)


def test_order_of_entries_counts(folder):
    """Figures show runs in the order of the configuration."""
    manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    manifest["configuration"]["runs"] = dict(reversed(manifest["configuration"]["runs"].items()))
    assert entries_digest(manifest) != manifest["sha256"]
