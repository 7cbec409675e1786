"""The first field in which two manifests differ is named, what causes a difference before what it shows in."""

from copy import deepcopy

import pytest

from secondorder.errors import InputError
from secondorder.provenance.comparison import Difference, compare_manifests

RUN = {
    "format_version": 1,
    "specification": {"run": "sgd", "seeds": [0, 1], "optimizer_settings": {"learning_rate": 0.1, "momentum": 0.9}},
    "data": {"name": "mnist_5k", "sha256": "d" * 64, "verified": True},
    "code": {"digest": "c" * 64, "files": {"optim/sgd.py": "a" * 64}},
    "environment": {"python": "3.11.7", "torch": "2.13.0"},
    "determinism": {"threads": 1},
    "device": {"type": "cpu", "name": "cpu"},
    "machine": {"processor": "a processor"},
    "seeds": [{"seed": seed, "status": "finished", "diverged_at_step": None} for seed in (0, 1)],
    "files": {"metrics.parquet": "e" * 64, "snapshots.npz": "f" * 64, "timing.parquet": "g" * 64},
    "wall_seconds": 3.1,
    "commit": {"revision": "0123", "dirty": False},
}
RECORD = {name: RUN[name] for name in ("seeds", "device", "machine", "commit", "wall_seconds", "files")}
TIER = {
    "format_version": 1,
    "tier": "smoke",
    "commit": {"revision": "0123", "dirty": False},
    "configuration": {"tier": "smoke", "runs": {"sgd": {"settings": {"learning_rate": 0.1}}}},
    "configuration_sha256": "9" * 64,
    "environment": {"torch": "2.13.0"},
    "hardware": {"cores": 2, "gpus": []},
    "data": {"mnist_5k": {"sha256": "d" * 64, "files": {"images.gz": {"sha256": "b" * 64}}}},
    "runs": {"mnist_mlp": {"sgd": {**RECORD, "code": "c" * 64, "manifest_sha256": "8" * 64}}},
    "tables": {
        "curvature/growth.parquet": {"sha256": "1" * 64, "bytes": 10, "timed": False},
        "curvature/growth_timing.parquet": {"sha256": "2" * 64, "bytes": 10, "timed": True},
    },
}
OTHER = "changed"


def changed(manifest, *places):
    """The manifest with another value at each place; a list is gone into by number."""
    copy = deepcopy(manifest)
    for place in places:
        inner = copy
        for key in place[:-1]:
            inner = inner[key]
        inner[place[-1]] = OTHER
    return copy


@pytest.mark.parametrize("manifest", [RUN, TIER], ids=["run", "tier"])
def test_manifest_agrees_with_itself(manifest):
    assert compare_manifests(manifest, deepcopy(manifest)) is None


@pytest.mark.parametrize(
    ("manifest", "place", "field"),
    [
        pytest.param(
            RUN,
            ("specification", "optimizer_settings", "learning_rate"),
            "specification.optimizer_settings.learning_rate",
            id="a setting",
        ),
        pytest.param(RUN, ("environment", "torch"), "environment.torch", id="a version"),
        pytest.param(RUN, ("data", "sha256"), "data.sha256", id="the data"),
        pytest.param(RUN, ("code", "files", "optim/sgd.py"), "code.files.optim/sgd.py", id="a source file"),
        pytest.param(RUN, ("device", "name"), "device.name", id="the device"),
        pytest.param(RUN, ("files", "metrics.parquet"), "files.metrics.parquet", id="the metrics"),
        pytest.param(RUN, ("seeds", 1, "status"), "seeds.1.status", id="how a seed ended"),
        pytest.param(RUN, ("commit", "revision"), "commit.revision", id="the commit"),
        pytest.param(RUN, ("new",), "new", id="a field that one has alone"),
        pytest.param(
            TIER,
            ("configuration", "runs", "sgd", "settings", "learning_rate"),
            "configuration.runs.sgd.settings.learning_rate",
            id="a setting of a tier",
        ),
        pytest.param(
            TIER, ("data", "mnist_5k", "files", "images.gz", "sha256"), "data.mnist_5k.files.images.gz.sha256",
            id="a source of the data",
        ),
        pytest.param(TIER, ("hardware", "cores"), "hardware.cores", id="the hardware"),
        pytest.param(TIER, ("runs", "mnist_mlp", "sgd", "code"), "runs.mnist_mlp.sgd.code", id="the code of a run"),
        pytest.param(
            TIER, ("runs", "mnist_mlp", "sgd", "seeds", 0, "status"), "runs.mnist_mlp.sgd.seeds.0.status",
            id="how a seed of a run ended",
        ),
        pytest.param(
            TIER, ("tables", "curvature/growth.parquet", "sha256"), "tables.curvature/growth.parquet.sha256",
            id="a table",
        ),
    ],
)  # fmt: skip
def test_field_that_differs_is_named_with_both_values(manifest, place, field):
    first, second = manifest, changed(manifest, place)
    found, reverse = compare_manifests(first, second), compare_manifests(second, first)
    assert (found.field, found.second) == (field, OTHER)
    assert reverse == Difference(field, OTHER, found.first)


@pytest.mark.parametrize(
    ("manifest", "place"),
    [
        pytest.param(RUN, ("wall_seconds",), id="seconds"),
        pytest.param(RUN, ("files", "timing.parquet"), id="the file of seconds"),
        pytest.param(TIER, ("runs", "mnist_mlp", "sgd", "wall_seconds"), id="seconds of a run"),
        pytest.param(TIER, ("runs", "mnist_mlp", "sgd", "manifest_sha256"), id="the digest that seconds are in"),
        pytest.param(TIER, ("tables", "curvature/growth_timing.parquet", "sha256"), id="a table of seconds"),
    ],
)
def test_what_no_execution_repeats_is_not_compared(manifest, place):
    assert compare_manifests(manifest, changed(manifest, place)) is None


@pytest.mark.parametrize(
    ("places", "field"),
    [
        pytest.param([("files", "metrics.parquet"), ("environment", "torch")], "environment.torch", id="version first"),
        pytest.param([("commit", "revision"), ("files", "metrics.parquet")], "files.metrics.parquet", id="commit last"),
        pytest.param([("machine", "processor"), ("data", "sha256")], "data.sha256", id="data before machine"),
    ],
)
def test_cause_is_named_before_what_it_shows_in(places, field):
    assert compare_manifests(RUN, changed(RUN, *places)).field == field


def test_within_a_run_of_a_tier_too_the_cause_comes_first():
    at = ("runs", "mnist_mlp", "sgd")
    other = changed(TIER, (*at, "files", "metrics.parquet"), (*at, "commit"), (*at, "machine", "processor"))
    assert compare_manifests(TIER, other).field == "runs.mnist_mlp.sgd.machine.processor"


def test_causes_alone_leave_out_what_they_show_in():
    other = changed(RUN, ("files", "metrics.parquet"), ("seeds", 0, "status"), ("commit", "revision"))
    assert compare_manifests(RUN, other, causes_alone=True) is None
    assert compare_manifests(RUN, changed(other, ("device", "type")), causes_alone=True).field == "device.type"


def test_manifest_of_a_run_is_not_compared_with_that_of_a_tier():
    with pytest.raises(InputError, match="one manifest is of a run and the other of a whole tier"):
        compare_manifests(RUN, TIER)
