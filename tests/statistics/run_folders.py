"""Folders of finished runs, tiny, written by the package's own writers."""

from dataclasses import replace
from pathlib import Path

from secondorder.files import file_digest
from secondorder.provenance.manifest import write_manifest
from secondorder.statistics.collection import ExpectedRun
from secondorder.training.layout import MANIFEST, METRICS, SNAPSHOTS, TIMING, VOUCHED_FOR
from secondorder.training.recorder import Moment, Recorder, write_tables
from secondorder.training.snapshots import write_snapshots
from secondorder.training.specification import RunSpecification

SPECIFICATION = RunSpecification(
    problem="mnist_mlp",
    problem_module="mnist_mlp",
    dataset="mnist_5k",
    run="sgd",
    optimizer="sgd",
    batch_size=32,
    unit_batch_size=32,
    budget_epochs=2.0,
    seeds=(0, 4),
    problem_settings={"activation": "relu"},
    optimizer_settings={"learning_rate": 0.1, "momentum": 0.0},
    schedule={"kind": "constant", "milestones": [0.5, 0.75], "gamma": 0.1},
)
CODE = {"optim/sgd.py": "a" * 64, "training/seed.py": "b" * 64}
DATA = "d" * 64


def recorded(specification, values):
    """A table per seed: one row per evaluation and metric, and one at the end."""
    for seed in specification.seeds:
        recorder = Recorder(seed)
        for evaluation in range(3):
            moment = Moment(evaluation, 10 * evaluation, float(evaluation), 10, 0, 0, 10.0 * evaluation)
            recorder.add("evaluation", moment, {name: value + seed for name, value in values.items()})
        recorder.add("final", moment, {"test_accuracy": 0.5 + seed / 10})
        yield recorder.table()


def write_run(folder: Path, specification: RunSpecification = SPECIFICATION, **changes):
    """Write the three files of a run; ``changes`` replace parts of its manifest."""
    write_tables(recorded(specification, {"validation_accuracy": 0.25}), folder / METRICS)
    write_tables(recorded(specification, {"seconds": 1.0}), folder / TIMING)
    write_snapshots([], folder / SNAPSHOTS)
    content = {
        "specification": specification.to_mapping(),
        "seeds": [{"seed": seed, "status": "finished", "diverged_at_step": None} for seed in specification.seeds],
        "code": {"digest": "c" * 64, "files": CODE},
        "data": {"name": specification.dataset, "sha256": DATA, "verified": True},
        "device": {"type": "cpu", "name": "cpu"},
        "files": {name: file_digest(folder / name) for name in VOUCHED_FOR},
    }
    write_manifest(folder / MANIFEST, {**content, **changes})
    return folder


def expected_run(folder: Path, specification: RunSpecification = SPECIFICATION, **changes) -> ExpectedRun:
    """What the folder that :func:`write_run` writes must say; ``changes`` replace fields."""
    expected = ExpectedRun(folder, specification.experiment(), specification.seeds, CODE, DATA)
    return replace(expected, **changes)
