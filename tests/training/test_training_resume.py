"""An interrupted run goes on where it was, to the same bits, and from nothing that does not belong to it."""

import dataclasses
import json
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional
from training_support import InterruptionError, Listener, specification

from secondorder import optim, problems
from secondorder.data.augmentation import crop_and_flip
from secondorder.data.storage import save_dataset
from secondorder.problems.problem import Problem
from secondorder.training import checkpoint
from secondorder.training import run as run_module
from secondorder.training.checkpoint import load_checkpoint, save_checkpoint

# The network here has batch normalisation in training mode, which exact Newton refuses.
ALL = pytest.mark.parametrize("optimizer", [name for name in optim.available() if name != "exact_newton"])


def restless_network():
    """A small network with everything that has a state besides its parameters."""
    return nn.Sequential(
        nn.Flatten(), nn.Linear(784, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.3), nn.Linear(16, 10)
    )


@pytest.fixture
def restless(monkeypatch):
    problem = Problem(restless_network, functional.cross_entropy, penalty=1e-3, augmentation=crop_and_flip)
    monkeypatch.setattr(problems.load("mnist_mlp"), "build", lambda settings: problem)


def interrupted(run, dataset, chosen, listener=None):
    with pytest.raises(InterruptionError):
        run.train(dataset, chosen, listener)


def interrupt_step(monkeypatch, optimizer, at):
    """Make the optimizer fail at its step number ``at``, counted over all seeds."""
    module = optim.load(optimizer)
    real, steps = module.build, []

    def build(parameters, settings):
        built = real(parameters, settings)
        step = built.step

        def counted(objective, factor):
            steps.append(None)
            if len(steps) == at:
                objective.loss_and_gradient()  # the interruption comes in the middle of a step
                raise InterruptionError
            return step(objective, factor)

        built.step = counted
        return built

    monkeypatch.setattr(module, "build", build)


def interrupt_checkpoint(monkeypatch, at):
    """Stop in the middle of writing checkpoint number ``at``."""
    real, saved = torch.save, []

    def save(state, path):
        saved.append(None)
        real(state, path)
        if len(saved) == at:
            path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
            raise InterruptionError

    monkeypatch.setattr(checkpoint.torch, "save", save)


# InterruptionErrors


@ALL
@pytest.mark.parametrize("line", range(1, 6))
def test_interrupted_at_a_line_of_progress(run, other_run, dataset, restless, optimizer, line):
    chosen = specification(optimizer=optimizer, budget_epochs=12)
    lines = other_run.train(dataset, chosen).lines
    interrupted(run, dataset, chosen, Listener(interrupt_at=min(line, len(lines))))
    assert not run.file("manifest.json").exists()
    run.train(dataset, chosen)
    assert run.metrics_bytes() == other_run.metrics_bytes()


@ALL
@pytest.mark.parametrize("step", [1, 2, 5, 7])
def test_interrupted_in_a_step(run, other_run, dataset, restless, optimizer, step):
    chosen = specification(optimizer=optimizer, budget_epochs=12)
    other_run.train(dataset, chosen)
    with pytest.MonkeyPatch.context() as patch:
        interrupt_step(patch, optimizer, min(step, len(other_run.rows(metric="batch_loss"))))
        interrupted(run, dataset, chosen)
    run.train(dataset, chosen)
    assert run.metrics_bytes() == other_run.metrics_bytes()


@pytest.mark.parametrize("write", [1, 2, 3, 4, 6])
def test_interrupted_while_a_checkpoint_is_written(run, other_run, dataset, restless, write):
    chosen = specification(seeds=(0, 1))
    with pytest.MonkeyPatch.context() as patch:
        interrupt_checkpoint(patch, write)
        interrupted(run, dataset, chosen)
    expected = ["seed_0.pt"] * (write > 1) + ["seed_1.pt"] * (write > 4)
    assert sorted(path.name for path in run.checkpoints.iterdir()) == expected
    run.train(dataset, chosen)
    other_run.train(dataset, chosen)
    assert run.metrics_bytes() == other_run.metrics_bytes()


@pytest.mark.parametrize("function", ["write_tables", "write_manifest"])
def test_interrupted_while_results_are_written(run, other_run, dataset, monkeypatch, function):
    chosen = specification(seeds=(0, 1))

    def stop(*arguments):
        raise InterruptionError

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run_module, function, stop)
        interrupted(run, dataset, chosen)
    assert not run.file("manifest.json").exists()
    listener = run.train(dataset, chosen)
    other_run.train(dataset, chosen)
    assert run.metrics_bytes() == other_run.metrics_bytes()
    assert listener.lines == [f"seed {seed}: resumed at step 12 (finished)" for seed in (0, 1)]


def test_interrupted_again_and_again(run, other_run, dataset, restless):
    chosen = specification(optimizer="adam", seeds=(0, 1))
    interruptions = 0
    while not run.file("manifest.json").exists():
        # Each attempt gets one line further than the one before.
        try:
            run.train(dataset, chosen, Listener(interrupt_at=interruptions + 1))
        except InterruptionError:
            interruptions += 1
        assert interruptions < 20
    assert interruptions > 3
    other_run.train(dataset, chosen)
    assert run.metrics_bytes() == other_run.metrics_bytes()


def test_interrupted_with_devices_read_seldom(run, other_run, dataset, restless):
    chosen = specification(log_every=3)
    interrupted(run, dataset, chosen, Listener(interrupt_at=3))
    run.train(dataset, chosen)
    other_run.train(dataset, chosen)
    assert run.metrics_bytes() == other_run.metrics_bytes()


def test_the_resumed_run_says_where_it_goes_on_and_repeats_nothing(run, dataset):
    interrupted(run, dataset, specification(), Listener(interrupt_at=3))
    listener = run.train(dataset, specification())
    assert listener.lines[0] == "seed 0: resumed at step 4 (running)"
    assert [line.split(", step")[0] for line in listener.lines[1:3]] == ["seed 0: epoch 2", "seed 0: epoch 3"]
    evaluations = [row["evaluation"] for row in run.rows("timing.parquet", metric="seconds", scope="evaluation")]
    assert evaluations == [0, 1, 2, 3]


def test_seconds_go_on_from_the_checkpoint(run, dataset):
    interrupted(run, dataset, specification(), Listener(interrupt_at=3))
    run.train(dataset, specification())
    seconds = [row["value"] for row in run.rows("timing.parquet", metric="seconds")]
    assert len(seconds) == 12 + 4
    assert seconds == sorted(seconds)


def test_resuming_has_to_restore_what_it_restores(run, other_run, dataset, restless, monkeypatch):
    # The control: a checkpoint that forgets one thing is noticed by the comparison of bytes.
    chosen = specification(optimizer="adam")
    other_run.train(dataset, chosen)
    expected = other_run.metrics_bytes()
    real = load_checkpoint
    for forgotten in ("optimizer", "batches", "random", "model"):
        interrupted(run, dataset, chosen, Listener(interrupt_at=3))

        def forgetful(path, identity, report, name=forgotten):
            state = real(path, identity, report)
            if state is None:
                return None
            fresh = {
                "optimizer": lambda: {**state["optimizer"], "state": {}},
                "batches": lambda: {**state["batches"], "taken": 0},
                "random": lambda: {"cpu": torch.manual_seed(5).get_state()},
                "model": lambda: {**state["model"], "2.running_mean": torch.zeros(16)},
            }
            return {**state, name: fresh[name]()}

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("secondorder.training.seed.load_checkpoint", forgetful)
            run.train(dataset, chosen)
        assert run.metrics_bytes() != expected, forgotten
        (run.checkpoints / "seed_0.pt").unlink()


KILLED = textwrap.dedent(
    """
    import os, signal, sys
    from pathlib import Path
    import torch
    from secondorder.data.storage import load_dataset
    from secondorder.training.progress import Progress
    from secondorder.training.run import train_run
    from secondorder.training.specification import RunSpecification

    folder, real, saved = Path(sys.argv[1]), torch.save, []

    def save(state, path):
        real(state, path)
        saved.append(None)
        if len(saved) == 5:
            path.write_bytes(path.read_bytes()[:1000])
            os.kill(os.getpid(), signal.SIGKILL)

    torch.save = save
    specification = RunSpecification.from_file(folder / "specification.json")
    dataset = load_dataset(folder / "data.npz", folder / "data.json")
    train_run(specification, dataset, folder / "results", folder / "checkpoints", Progress("killed"))
    """
)


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="there is no SIGKILL here")
def test_killed_while_a_checkpoint_is_written_and_resumed_by_another_process(run, other_run, dataset):
    chosen = specification(optimizer="adam", seeds=(0, 1))
    run.folder.mkdir()
    save_dataset(dataset, run.folder / "data.npz", run.folder / "data.json")
    (run.folder / "specification.json").write_text(json.dumps(chosen.to_mapping()))
    source = str(Path(run_module.__file__).parents[2])
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, str(run.folder)],
        env={**os.environ, "PYTHONPATH": source},
        capture_output=True,
        text=True,
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    listener = run.train(dataset, chosen)
    assert "seed 1: resumed at step 4 (running)" in listener.lines
    other_run.train(dataset, chosen)
    assert run.metrics_bytes() == other_run.metrics_bytes()


# Seeds


def test_an_added_seed_is_trained_and_the_finished_ones_are_reused(run, other_run, dataset, monkeypatch):
    run.train(dataset, specification(seeds=(0, 1)))
    listener = run.train(dataset, specification(seeds=(0, 1, 2)))
    assert listener.lines[:2] == [f"seed {seed}: resumed at step 12 (finished)" for seed in (0, 1)]
    assert all(line.startswith("seed 2: ") for line in listener.lines[2:])
    other_run.train(dataset, specification(seeds=(0, 1, 2)))
    assert run.metrics_bytes() == other_run.metrics_bytes()


def test_fewer_seeds_are_reused_too(run, dataset):
    run.train(dataset, specification(seeds=(0, 1)))
    run.train(dataset, specification(seeds=(1,)))
    assert {row["seed"] for row in run.rows()} == {1}


def test_a_diverged_seed_is_reused_as_such(run, dataset):
    chosen = specification(optimizer_settings={"learning_rate": 1e20})
    run.train(dataset, chosen)
    first = run.metrics_bytes()
    (line,) = run.train(dataset, chosen).lines
    assert line.endswith("(diverged)")
    assert run.metrics_bytes() == first


# Checkpoints that do not belong


def fresh_metrics(other_run, dataset, chosen):
    other_run.train(dataset, chosen)
    return other_run.metrics_bytes()


DAMAGE = {
    "empty": lambda content: b"",
    "cut": lambda content: content[: len(content) // 2],
    "text": lambda content: b"no checkpoint",
    "a bit changed": lambda content: (
        content[: len(content) // 2] + bytes([content[len(content) // 2] ^ 1]) + content[len(content) // 2 + 1 :]
    ),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_checkpoint_is_not_used_and_replaced(run, other_run, dataset, damage):
    interrupted(run, dataset, specification(), Listener(interrupt_at=3))
    path = run.checkpoints / "seed_0.pt"
    path.write_bytes(DAMAGE[damage](path.read_bytes()))
    listener = run.train(dataset, specification())
    assert listener.lines[0].startswith("seed_0.pt: is damaged (")
    assert "epoch 0, step 0" in listener.lines[1]
    assert run.metrics_bytes() == fresh_metrics(other_run, dataset, specification())
    assert run.train(dataset, specification()).lines == ["seed 0: resumed at step 12 (finished)"]


class Malicious:
    """Creates a file when it is unpickled."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return open, (self.path, "w")


def test_a_checkpoint_cannot_execute_anything(tmp_path):
    path, trace = tmp_path / "seed_0.pt", tmp_path / "trace"
    torch.save({"identity": "x", "state": Malicious(trace)}, path)
    lines = []
    assert load_checkpoint(path, "x", lines.append) is None
    assert not trace.exists()
    assert len(lines) == 1


@pytest.mark.parametrize(
    "content", [{"state": {}}, {"identity": "x"}, [1, 2], 3], ids=["no identity", "no state", "a list", "a number"]
)
def test_a_file_of_another_kind_is_not_used(tmp_path, content):
    path, lines = tmp_path / "seed_0.pt", []
    torch.save(content, path)
    assert load_checkpoint(path, "x", lines.append) is None
    assert lines[0].startswith("seed_0.pt: is damaged")


def test_a_missing_checkpoint_is_no_news(tmp_path):
    lines = []
    assert load_checkpoint(tmp_path / "seed_0.pt", "x", lines.append) is None
    assert lines == []


def test_a_checkpoint_is_read_back_under_its_identity_alone(tmp_path):
    path, lines = tmp_path / "folder" / "seed_0.pt", []
    save_checkpoint(path, "x", {"step": 3})
    assert load_checkpoint(path, "x", lines.append) == {"step": 3}
    assert lines == []
    assert load_checkpoint(path, "y", lines.append) is None
    assert lines == ["seed_0.pt: is from other code, settings or data and not used"]


@pytest.mark.parametrize(
    "changes",
    [
        {"optimizer_settings": {"learning_rate": 0.06, "momentum": 0.5}},
        {"optimizer": "adam"},
        {"batch_size": 15},
        {"budget_epochs": 4},
        {"schedule": {"kind": "cosine"}},
        {"problem_settings": {"activation": "tanh"}},
        {"threads": 2},
        {"log_every": 2},
        {"snapshots": (0.5,)},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_a_checkpoint_of_another_setting_is_not_used(run, other_run, dataset, changes):
    interrupted(run, dataset, specification(), Listener(interrupt_at=3))
    listener = run.train(dataset, specification(**changes))
    assert listener.lines[0] == "seed_0.pt: is from other code, settings or data and not used"
    assert run.metrics_bytes() == fresh_metrics(other_run, dataset, specification(**changes))


def test_a_checkpoint_of_other_data_is_not_used(run, dataset):
    interrupted(run, dataset, specification(), Listener(interrupt_at=3))
    images = dataset.train_images.copy()
    images[0, 0, 0, 0] ^= 1
    listener = run.train(dataclasses.replace(dataset, train_images=images), specification())
    assert "not used" in listener.lines[0]


def test_a_checkpoint_of_other_code_is_not_used(run, dataset, monkeypatch):
    interrupted(run, dataset, specification(), Listener(interrupt_at=3))
    real = run_module.training_code
    monkeypatch.setattr(run_module, "training_code", lambda *names: {**real(*names), "optim/sgd.py": "0" * 64})
    assert "not used" in run.train(dataset, specification()).lines[0]


def test_no_temporary_files_stay_behind(run, dataset):
    interrupted(run, dataset, specification(), Listener(interrupt_at=3))
    run.train(dataset, specification())
    files = sorted(path.name for path in run.folder.rglob("*") if path.is_file())
    assert files == ["manifest.json", "metrics.parquet", "seed_0.pt", "snapshots.npz", "timing.parquet"]
