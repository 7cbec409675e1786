"""Snapshots hold the weights that training had at the asked shares of its budget, to the bit."""

import json

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional
from training_support import InterruptionError, Listener, specification

from secondorder import problems
from secondorder.errors import ResultError
from secondorder.files import file_digest
from secondorder.problems.problem import Problem
from secondorder.training import seed as seed_module
from secondorder.training.evaluation import evaluate
from secondorder.training.networks import build_problem, rebuild_network
from secondorder.training.seed import Splits
from secondorder.training.snapshots import list_snapshots, load_snapshot

SHARES = (0.0, 0.1, 0.5, 1.0)


def chosen(**changes):
    return specification(**{"snapshots": SHARES, **changes})


def moments(run):
    return [(moment.seed, moment.share, moment.spent) for moment in list_snapshots(run.file("snapshots.npz"))]


def snapshots_bytes(run):
    return run.file("snapshots.npz").read_bytes()


def test_each_is_taken_at_the_first_evaluation_at_or_after_its_share(run, dataset):
    run.train(dataset, chosen(seeds=(0, 4), budget_epochs=4))
    assert moments(run) == [
        (seed, share, spent) for seed in (0, 4) for share, spent in zip(SHARES, (0, 0.25, 0.5, 1), strict=True)
    ]


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_networks_have_the_losses_that_were_measured_at_their_evaluations(run, dataset, optimizer):
    run.train(dataset, chosen(optimizer=optimizer, budget_epochs=4))
    split = Splits.of(dataset, torch.device("cpu")).training
    losses = []
    for share in SHARES:
        weights = load_snapshot(run.file("snapshots.npz"), 0, share)
        model = rebuild_network(chosen(), weights)
        assert not model.training
        losses.append(evaluate(model, build_problem(chosen()), split)[0])
    measured = [run.values("training_loss", evaluation=evaluation)[0] for evaluation in (0, 1, 2, 4)]
    assert losses == measured
    assert len(set(losses)) == 4


def test_buffers_are_kept_too(run, dataset, monkeypatch):
    def network():
        return nn.Sequential(nn.Flatten(), nn.Linear(784, 8), nn.BatchNorm1d(8), nn.Linear(8, 10))

    monkeypatch.setattr(problems.load("mnist_mlp"), "build", lambda _: Problem(network, functional.cross_entropy))
    run.train(dataset, chosen())
    first, last = (load_snapshot(run.file("snapshots.npz"), 0, share) for share in (0, 1))
    assert list(first) == list(network().state_dict())
    assert (int(first["2.num_batches_tracked"]), int(last["2.num_batches_tracked"])) == (0, 12)
    rebuild_network(chosen(), last)


def test_two_runs_give_the_same_file(run, other_run, dataset):
    for one in (run, other_run):
        one.train(dataset, chosen(optimizer="adam", seeds=(0, 1)))
    assert snapshots_bytes(run) == snapshots_bytes(other_run)


@pytest.mark.parametrize("line", range(1, 5))
def test_an_interrupted_run_gives_the_same_file(run, other_run, dataset, line):
    with pytest.raises(InterruptionError):
        run.train(dataset, chosen(optimizer="adam", seeds=(0, 1)), Listener(interrupt_at=line))
    run.train(dataset, chosen(optimizer="adam", seeds=(0, 1)))
    other_run.train(dataset, chosen(optimizer="adam", seeds=(0, 1)))
    assert snapshots_bytes(run) == snapshots_bytes(other_run)


def test_resuming_has_to_restore_them(run, dataset, monkeypatch):
    # The control: a checkpoint that forgets them is noticed.
    with pytest.raises(InterruptionError):
        run.train(dataset, chosen(), Listener(interrupt_at=3))
    real = seed_module.load_checkpoint
    monkeypatch.setattr(seed_module, "load_checkpoint", lambda *given: {**real(*given), "snapshots": {}})
    run.train(dataset, chosen())
    assert [spent for _, _, spent in moments(run)] != [0, 1 / 3, 2 / 3, 1]


def test_they_change_no_metric(run, other_run, dataset):
    run.train(dataset, chosen())
    other_run.train(dataset, chosen(snapshots=()))
    assert run.metrics_bytes() == other_run.metrics_bytes()


def test_other_shares_train_again(run, dataset):
    run.train(dataset, chosen())
    assert "not used" in run.train(dataset, chosen(snapshots=(0.5,))).lines[0]
    assert moments(run) == [(0, 0.5, pytest.approx(2 / 3))]


def test_a_diverged_seed_has_those_that_it_reached(run, dataset):
    run.train(dataset, chosen(optimizer_settings={"learning_rate": 1e20}))
    assert json.loads(run.file("manifest.json").read_text())["seeds"][0]["status"] == "diverged"
    assert moments(run) == [(0, 0, 0)]


def test_a_step_that_passes_the_budget_is_no_obstacle(run, dataset):
    run.train(dataset, chosen(batch_size=50, snapshots=(1.0,)))
    ((_, _, spent),) = moments(run)
    assert spent > 1


def test_without_shares_the_file_is_empty_and_vouched_for(run, dataset):
    run.train(dataset, chosen(snapshots=()))
    assert moments(run) == []
    files = json.loads(run.file("manifest.json").read_text())["files"]
    assert files["snapshots.npz"] == file_digest(run.file("snapshots.npz"))


def test_the_file_holds_plain_arrays(run, dataset):
    run.train(dataset, chosen())
    with np.load(run.file("snapshots.npz"), allow_pickle=False) as archive:
        assert archive["0/0.5/1.weight"].shape == (128, 784)
        assert archive["0/0.5/1.weight"].dtype == np.float32


def test_what_is_not_there_is_said(run, dataset):
    run.train(dataset, chosen(snapshots=(0.5,)))
    with pytest.raises(ResultError, match=r"no snapshot of seed 0 at share 1; it holds seed 0 at 0\.5; add the share"):
        load_snapshot(run.file("snapshots.npz"), 0, 1)


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\x03\x04 cut off"])
def test_a_damaged_file_is_refused_in_one_line(tmp_path, content):
    path = tmp_path / "snapshots.npz"
    path.write_bytes(content)
    with pytest.raises(ResultError, match=r"cannot be read as snapshots .*delete its folder and run again") as caught:
        load_snapshot(path, 0, 1)
    assert "\n" not in str(caught.value)


def test_rebuilding_leaves_the_random_numbers_alone(run, dataset):
    run.train(dataset, chosen())
    before = torch.get_rng_state()
    rebuild_network(chosen(), load_snapshot(run.file("snapshots.npz"), 0, 0))
    assert torch.equal(torch.get_rng_state(), before)
