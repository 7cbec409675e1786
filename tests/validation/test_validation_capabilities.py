"""Capabilities are found by trying: what is refused and why, what a step costs, and what must not be refused."""

import dataclasses

import pytest
import torch
from followed_runs import specification

from secondorder.errors import CapabilityError, ResultError
from secondorder.optim import sgd
from secondorder.training.seed import Splits
from secondorder.validation.capabilities import probe, probe_capabilities

PER_SAMPLE = {"run": "per_sample", "optimizer": "exact_newton", "optimizer_settings": {"variant": "per_sample"}}
CONVOLUTIONAL = {"problem": "lenet", "problem_module": "mnist_lenet5", "problem_settings": {}}


@pytest.fixture(scope="module")
def training(dataset):
    return Splits.of(dataset, torch.device("cpu")).training


@pytest.mark.parametrize(
    ("changes", "gradients"),
    [
        pytest.param({}, 1, id="a gradient"),
        pytest.param(
            {"optimizer": "newton_krylov", "optimizer_settings": {"control": "fixed", "krylov_steps": 1}},
            1 + 2,
            id="a gradient and a product by the R-operator",
        ),
        pytest.param(
            {
                "optimizer": "intermittent",
                "optimizer_settings": {"rare_settings": "control=fixed, krylov_steps=1, product=double_backward"},
            },
            1 + 2,
            id="the dearer of two kinds of steps",
        ),
        pytest.param(
            {"optimizer": "fosi", "optimizer_settings": {"largest": 1, "krylov_steps": 1}},
            1 + 2 + (4 + 1 + 5) * 1619 / (3 * 1604 * 7),
            id="the search and the vectors that come after a warm-up",
        ),
    ],
)
def test_work_is_in_gradients_over_the_same_samples(training, changes, gradients):
    probed = probe(specification(**changes), training, samples=7)
    assert probed.refusal == ""
    assert probed.gradient_equivalents == pytest.approx(gradients)
    assert probed.seconds > 0


@pytest.mark.parametrize(
    "settings",
    [
        pytest.param({"rare": "exact_newton", "rare_settings": "variant=per_sample"}, id="rare"),
        pytest.param({"frequent": "exact_newton", "frequent_settings": "variant=per_sample"}, id="frequent"),
    ],
)
def test_refusal_of_either_kind_of_step_is_found(training, settings):
    changes = {"optimizer": "intermittent", "optimizer_settings": settings}
    assert "'per_sample'" in probe(specification(**CONVOLUTIONAL, **changes), training, samples=4).refusal


def test_network_that_reproduces_its_images_is_given_them(training):
    reproducing = specification(problem_module="mnist_autoencoder", problem_settings={"hidden": "3"})
    assert probe(reproducing, training, samples=4).gradient_equivalents == 1


def test_refusal_has_the_reason_and_no_numbers(training):
    probed = probe(specification(**CONVOLUTIONAL, **PER_SAMPLE), training, samples=4)
    assert "'per_sample' is for dense networks" in probed.refusal
    assert str(probed.gradient_equivalents) == str(probed.seconds) == "nan"


def test_table_has_a_row_per_run_those_left_out_among_them(training):
    runs = [specification(**CONVOLUTIONAL), specification(**CONVOLUTIONAL, **PER_SAMPLE)]
    table = probe_capabilities(runs, ["sgd"], training, samples=100)
    assert table[["problem", "run", "trained", "samples"]].to_numpy().tolist() == [
        ["lenet", "sgd", True, 30],
        ["lenet", "per_sample", False, 30],
    ]


def test_run_that_is_trained_and_refuses_is_an_error(training):
    refusing = specification(**CONVOLUTIONAL, **PER_SAMPLE)
    with pytest.raises(
        ResultError, match=r"problems\.lenet: trains the run 'per_sample', which refuses it: .*`without`$"
    ):
        probe_capabilities([refusing], ["per_sample"], training, samples=4)


def test_other_errors_are_no_refusals(training):
    wrong = dataclasses.replace(specification(), problem_settings={"hidden": "none"})
    with pytest.raises(Exception, match="hidden"):
        probe(wrong, training, samples=4)


def test_probe_sees_the_batch_and_the_weights_that_training_starts_with(training, monkeypatch):
    seen = []

    class Watching:
        def __init__(self, parameters):
            self.parameters = parameters

        def step(self, objective, schedule_factor):
            seen.append((self.parameters[0].detach().clone(), objective.inputs))
            raise CapabilityError("seen;\nenough")

    monkeypatch.setattr(sgd, "build", lambda parameters, settings: Watching(parameters))
    random_state = torch.get_rng_state()
    for seed in (3, 3, 5):
        assert probe(specification(seeds=(seed,)), training, samples=4).refusal == "seen; enough"
    assert torch.equal(torch.get_rng_state(), random_state)
    (weights, inputs), (same_weights, same_inputs), (other_weights, other_inputs) = seen
    assert inputs.shape == (4, 1, 28, 28)
    assert torch.equal(weights, same_weights)
    assert torch.equal(inputs, same_inputs)
    assert not torch.equal(weights, other_weights)
    assert not torch.equal(inputs, other_inputs)
