"""Trials are trained as runs are, each in its own folder, resumed to the same bits, and never see the test images."""

import dataclasses
import json

import numpy as np
import pyarrow.parquet as pq
import pytest
from training_support import InterruptionError, Listener, specification

from secondorder.errors import ResultError
from secondorder.statistics.collection import collect_runs, expected_runs
from secondorder.tuning.search import Range, Search
from secondorder.tuning.selection import collect_trials
from secondorder.tuning.trials import train_trials, trial_name

VALUES = (0.05, 0.02, 1e20)


def search(**changes):
    base = specification(
        optimizer_settings={"momentum": 0.5}, seeds=(1_000_000,), evaluate_test=False, budget_epochs=2, **changes
    )
    return Search(base, {"learning_rate": Range(1e-3, 1e20)}, tuple({"learning_rate": value} for value in VALUES))


def train(folder, dataset, chosen, listener=None):
    listener = listener or Listener()
    train_trials(chosen, dataset, folder, folder / "checkpoints", listener)
    return listener


def metrics(folder):
    """The bytes of each trial's metrics."""
    return [(folder / trial_name(trial) / "metrics.parquet").read_bytes() for trial in range(len(VALUES))]


def test_trial_is_bitwise_the_run_with_its_settings(tmp_path, run, dataset):
    train(tmp_path, dataset, search())
    for trial, value in enumerate(VALUES):
        single = dataclasses.replace(
            search().specification, optimizer_settings={"momentum": 0.5, "learning_rate": value}
        )
        run.train(dataset, single)
        assert metrics(tmp_path)[trial] == run.metrics_bytes()


@pytest.mark.parametrize("line", range(1, 9))
def test_interrupted_job_goes_on_to_the_same_bits(tmp_path, dataset, line):
    whole = train(tmp_path / "whole", dataset, search()).lines
    with pytest.raises(InterruptionError):
        train(tmp_path / "resumed", dataset, search(), Listener(interrupt_at=min(line, len(whole))))
    resumed = train(tmp_path / "resumed", dataset, search()).lines
    assert metrics(tmp_path / "resumed") == metrics(tmp_path / "whole")
    if line > 4:
        assert resumed[0] == "trial 0: seed 1000000: resumed at step 8 (finished)"


def test_added_trials_leave_the_finished_ones_as_they_are(tmp_path, dataset):
    fewer = dataclasses.replace(search(), trials=search().trials[:1])
    train(tmp_path, dataset, fewer)
    lines = train(tmp_path, dataset, search()).lines
    assert [line for line in lines if line.startswith("trial 0")] == [
        "trial 0: seed 1000000: resumed at step 8 (finished)"
    ]


def test_test_images_are_not_looked_at(tmp_path, dataset):
    other = dataclasses.replace(
        dataset, test_images=255 - dataset.test_images, test_labels=np.zeros_like(dataset.test_labels)
    )
    train(tmp_path / "one", dataset, search())
    train(tmp_path / "other", other, search())
    assert metrics(tmp_path / "one") == metrics(tmp_path / "other")
    for trial in range(len(VALUES)):
        table = pq.read_table(tmp_path / "one" / trial_name(trial) / "metrics.parquet")
        assert not [name for name in table["metric"].to_pylist() if "test" in name]
        assert "final" not in table["scope"].to_pylist()


def test_run_that_is_no_trial_still_looks_at_them_once(run, dataset):
    run.train(dataset, specification())
    assert len(run.rows(metric="test_accuracy")) == 1


def test_checkpoint_of_a_trial_is_not_used_for_the_run(run, dataset):
    run.train(dataset, specification(evaluate_test=False))
    run.train(dataset, specification())
    assert len(run.rows(metric="test_accuracy")) == 1


def test_progress_names_the_trial_and_rises_to_the_whole(tmp_path, dataset):
    listener = train(tmp_path, dataset, search())
    assert {line.split(":")[0] for line in listener.lines} == {"trial 0", "trial 1", "trial 2"}
    assert listener.shares == sorted(listener.shares)
    assert 0 <= listener.shares[0] < 0.2
    assert listener.shares[-1] <= 1


@pytest.fixture
def prepared(tmp_path, dataset):
    """Trained trials, with the manifest that prepared data would have."""
    train(tmp_path / "trials", dataset, search())
    made = json.loads((tmp_path / "trials" / trial_name(0) / "manifest.json").read_text(encoding="utf-8"))["data"]
    path = tmp_path / "data.json"
    path.write_text(json.dumps(made), encoding="utf-8")
    return tmp_path / "trials", [path]


def test_trials_are_collected_with_what_they_reached(prepared):
    folder, data = prepared
    table = collect_trials(search(), folder, data)
    (final,) = [
        row["value"]
        for row in pq.read_table(folder / trial_name(0) / "metrics.parquet").to_pylist()
        if (row["metric"], row["evaluation"]) == ("validation_accuracy", 2)
    ]
    assert table["trial"].tolist() == [0, 1, 2]
    assert table["learning_rate"].tolist() == list(VALUES)
    assert table["status"].tolist() == ["finished", "finished", "diverged"]
    assert table["validation_metric"].iloc[0] == final
    assert table["validation_metric"].isna().tolist() == [False, False, True]
    assert table["validation_loss"].isna().tolist() == [False, False, True]
    assert (table["seconds"].iloc[:2] > 0).all()


def test_trials_of_another_search_are_refused(prepared):
    folder, data = prepared
    other = dataclasses.replace(search(), trials=tuple(reversed(search().trials)))
    with pytest.raises(ResultError, match=r"does not belong here: specification\.optimizer_settings\.learning_rate"):
        collect_trials(other, folder, data)


def test_trial_does_not_pass_for_a_run(prepared):
    folder, data = prepared
    tested = dataclasses.replace(search().specifications()[0], evaluate_test=True)
    with pytest.raises(ResultError, match=r"does not belong here: specification\.evaluate_test"):
        collect_runs(expected_runs([tested], [folder / trial_name(0)], data))


def test_trials_and_runs_have_folders_of_their_own(tmp_path, dataset):
    train(tmp_path, dataset, search())
    assert sorted(path.name for path in (tmp_path / trial_name(1)).iterdir()) == [
        "manifest.json",
        "metrics.parquet",
        "snapshots.npz",
        "timing.parquet",
    ]
    assert sorted(path.name for path in (tmp_path / "checkpoints").iterdir()) == [trial_name(k) for k in range(3)]
