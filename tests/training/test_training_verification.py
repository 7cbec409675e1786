"""A run computed again is the same bits, and what was changed since is found and named."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from training_support import Listener, Run, specification

from secondorder.data.storage import dataset_digest
from secondorder.errors import ResultError
from secondorder.files import file_digest
from secondorder.provenance.code import training_code
from secondorder.provenance.verification import verify_run
from secondorder.provenance.verification_record import (
    Verification,
    read_verifications,
    require_no_difference,
    write_verifications,
)
from secondorder.statistics.collection import ExpectedRun
from secondorder.training.snapshots import write_snapshots

CHOSEN = specification(seeds=(0, 3, 4), snapshots=(0.5, 1.0))


@pytest.fixture
def original(run, dataset):
    """A run of three seeds."""
    run.train(dataset, CHOSEN)
    return run


def verified(original: Run, dataset, output, seeds=1, chosen=CHOSEN) -> Verification:
    code = training_code("mnist_mlp", "sgd")
    expected = ExpectedRun(
        original.folder / "results", chosen.experiment(), chosen.seeds, code, dataset_digest(dataset)
    )
    return verify_run(chosen, expected, dataset, output, seeds, 0.95, Listener())


def edit_manifest(original: Run, *place, value):
    """Give one field of the manifest another value."""
    manifest = json.loads(original.file("manifest.json").read_text())
    inner = manifest
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = value
    original.file("manifest.json").write_text(json.dumps(manifest))


def edit_value(original: Run, row, change):
    """Change one number of the metrics, and the sum that the manifest has of them."""
    table = pq.read_table(original.file("metrics.parquet"))
    values = table["value"].to_pylist()
    values[row] = change(values[row])
    column = table.schema.get_field_index("value")
    pq.write_table(table.set_column(column, "value", pa.array(values)), original.file("metrics.parquet"))
    edit_manifest(original, "files", "metrics.parquet", value=file_digest(original.file("metrics.parquet")))


@pytest.mark.parametrize("seeds", [1, 2], ids=["one seed", "two seeds"])
def test_run_is_the_same_bits_and_left_as_it_is(original, dataset, tmp_path, seeds):
    before = {path.name: path.read_bytes() for path in (original.folder / "results").iterdir()}
    found = verified(original, dataset, tmp_path / "again", seeds)
    assert found == Verification("tiny", "tested", (0, 3)[:seeds], "bitwise equal")
    assert {path.name: path.read_bytes() for path in (original.folder / "results").iterdir()} == before


def test_second_verification_computes_again(original, dataset, tmp_path):
    verified(original, dataset, tmp_path / "again")
    assert not (tmp_path / "again" / "checkpoints").exists()


def test_flipped_bit_of_a_file_is_different_without_training(original, dataset, tmp_path):
    content = bytearray(original.file("metrics.parquet").read_bytes())
    content[len(content) // 2] ^= 1
    original.file("metrics.parquet").write_bytes(content)
    found = verified(original, dataset, tmp_path / "again")
    assert found.verdict == "different"
    assert "metrics.parquet: was changed after it was written" in found.reason
    assert not (tmp_path / "again").exists()


def row_of(original, **having):
    return next(
        index for index, row in enumerate(original.rows()) if all(row[name] == value for name, value in having.items())
    )


def test_changed_bit_is_found_where_the_sum_was_changed_too(original, dataset, tmp_path):
    edit_value(original, row_of(original, scope="step", step=2), lambda value: value * (1 + 2**-52))
    found = verified(original, dataset, tmp_path / "again")
    assert (found.verdict, found.cause) == ("statistically equal", None)
    assert found.place.startswith("seed 0, step at step 2, metric batch_loss: ")
    assert "the manifests name no cause" in found.line


@pytest.mark.parametrize("scope", ["evaluation", "final"])
def test_metric_that_moved_further_than_seeds_are_apart_is_different(original, dataset, tmp_path, scope):
    metric = {"evaluation": "validation_loss", "final": "test_loss"}[scope]
    for index, row in enumerate(original.rows(metric=metric)):
        position = row_of(original, **{name: row[name] for name in ("seed", "scope", "evaluation", "metric")})
        edit_value(original, position, lambda value, seed=index: value + 1e6 + seed)
    found = verified(original, dataset, tmp_path / "again")
    assert found.verdict == "different"
    assert f"metric {metric}: " in found.reason


def test_version_that_differs_is_named_as_the_cause(original, dataset, tmp_path):
    edit_value(original, 0, lambda value: value * (1 + 2**-52))
    edit_manifest(original, "environment", "torch", value="1.0")
    found = verified(original, dataset, tmp_path / "again")
    assert found.cause.startswith("environment.torch: '1.0' and ")
    assert "first differing field: environment.torch" in found.line


def test_weight_that_differs_by_a_bit_is_named(original, dataset, tmp_path):
    with np.load(original.file("snapshots.npz")) as archive:
        arrays = dict(archive)
    name = next(name for name in arrays if name.startswith("0/1.0/") and arrays[name].ndim == 2)
    arrays[name][0, 0] = np.nextafter(arrays[name][0, 0], np.float32(9))
    write_snapshots([arrays], original.file("snapshots.npz"))
    edit_manifest(original, "files", "snapshots.npz", value=file_digest(original.file("snapshots.npz")))
    found = verified(original, dataset, tmp_path / "again")
    assert found.verdict == "statistically equal"
    assert found.place == f"seed 0, snapshot at 1 of the budget, {name.removeprefix('0/1.0/')}"


@pytest.mark.parametrize(
    ("place", "value", "field"),
    [
        pytest.param(
            ("specification", "optimizer_settings", "learning_rate"),
            0.06,
            "learning_rate is 0.06",
            id="a learning rate",
        ),
        pytest.param(("data", "sha256"), "0" * 64, "data.sha256", id="the data"),
        pytest.param(("code", "files", "optim/sgd.py"), "0" * 64, "code.files.optim/sgd.py", id="the code"),
    ],
)
def test_result_that_does_not_belong_is_different_by_its_field(original, dataset, tmp_path, place, value, field):
    edit_manifest(original, *place, value=value)
    found = verified(original, dataset, tmp_path / "again")
    assert found.verdict == "different"
    assert field in found.reason


def test_seed_that_ended_otherwise_is_different(original, dataset, tmp_path):
    end = {"seed": 0, "status": "diverged", "diverged_at_step": 2}
    edit_manifest(original, "seeds", 0, value=end)
    found = verified(original, dataset, tmp_path / "again")
    assert (found.verdict, found.reason) == ("different", "seed 0 diverged, and now finished")


# Records


EQUAL = Verification("mnist_mlp", "sgd", (0,), "bitwise equal")
CLOSE = Verification("mnist_mlp", "adam", (0, 1), "statistically equal", "environment.torch: 'a' and 'b'", "seed 0 | x")
APART = Verification("mnist_mlp", "kfac", (0,), "different", reason="seed 0 finished, and now diverged")


def test_what_is_written_is_read(tmp_path):
    write_verifications([EQUAL, CLOSE, APART], 0.95, tmp_path / "report.json", tmp_path / "report.md")
    assert read_verifications(tmp_path / "report.json") == [EQUAL, CLOSE, APART]
    page = (tmp_path / "report.md").read_text(encoding="utf-8")
    assert "| mnist_mlp | sgd | 0 | bitwise equal |  |  |  |" in page
    assert r"seed 0 \| x" in page
    assert "pass with probability 0.95 or more" in page


def test_damaged_record_is_refused(tmp_path):
    (tmp_path / "report.json").write_text("{}", encoding="utf-8")
    with pytest.raises(ResultError, match="cannot be read as verifications"):
        read_verifications(tmp_path / "report.json")


@pytest.mark.parametrize(
    ("verification", "line"),
    [
        (EQUAL, "mnist_mlp/sgd (seed 0): bitwise equal"),
        (
            CLOSE,
            "mnist_mlp/adam (seeds 0, 1): statistically equal; first at seed 0 | x; first differing field: "
            "environment.torch: 'a' and 'b'",
        ),
        (APART, "mnist_mlp/kfac (seed 0): different; seed 0 finished, and now diverged"),
    ],
    ids=["equal", "close", "apart"],
)
def test_every_run_has_a_line(verification, line):
    assert verification.line == line


def test_difference_is_refused_and_nothing_else():
    require_no_difference([EQUAL, CLOSE])
    with pytest.raises(ResultError, match="1 of 3 runs are different when they are computed again: mnist_mlp/kfac;"):
        require_no_difference([EQUAL, CLOSE, APART])
