"""Trained networks are read from results that belong, moment by moment."""

import pytest
import torch
from followed_runs import specification

from secondorder.errors import ResultError
from secondorder.training.layout import SNAPSHOTS
from secondorder.validation.trained import networks_of, probes


def test_networks_come_in_the_order_of_training(trained):
    (run,) = trained()
    assert [network.names["share"] for network in run.networks(5)] == [0, 0.5, 1]
    assert {network.names["seed"] for network in run.networks(5)} == {5}
    assert run.statuses == {3: "finished", 5: "finished"}


def test_first_seed_of_each_run_is_followed(trained):
    runs = trained(specification(), specification(run="adam", optimizer="adam", optimizer_settings={}))
    found = [(network.names["run"], network.names["seed"]) for network in networks_of(runs)]
    assert found == [("sgd", 3)] * 3 + [("adam", 3)] * 3


def test_run_of_another_specification_is_refused(trained):
    trained()
    with pytest.raises(ResultError, match=r"does not belong here: specification\.budget_epochs is 2, expected 9"):
        trained(specification(budget_epochs=9))


def test_changed_snapshots_are_refused(trained):
    (run,) = trained()
    run.path.write_bytes(run.path.read_bytes() + b" ")
    with pytest.raises(ResultError, match=rf"{SNAPSHOTS}: was changed after it was written"):
        trained()


def test_share_that_was_not_asked_for_is_said(trained):
    (run,) = trained(specification(snapshots=(0.5,)))
    assert [network.names["share"] for network in run.networks(3)] == [0.5]


def test_probes_are_single_samples_and_batches_across_the_split(dataset):
    found = probes(dataset, samples=3, batches=2, batch_size=4)
    assert [(probe.kind, probe.index, len(probe.inputs)) for probe in found] == [
        ("sample", 0, 1),
        ("sample", 1, 1),
        ("sample", 2, 1),
        ("batch", 0, 4),
        ("batch", 1, 4),
    ]
    assert {probe.inputs.dtype for probe in found} == {torch.float64}
    assert [probe.targets.tolist() for probe in found[:3]] == [[label] for label in dataset.train_labels[[0, 40, 80]]]
    together = torch.cat([probe.inputs.flatten(1) for probe in found[3:]])
    assert len(torch.unique(together, dim=0)) == 8


def test_there_may_be_no_batches(dataset):
    assert [probe.kind for probe in probes(dataset, samples=2, batches=0, batch_size=4)] == ["sample"] * 2
