"""Training decays the weights after each step, by the work that the step used and the schedule's factor."""

import numpy as np
import pytest
from training_support import EPOCH_WORK, specification

from secondorder import optim
from secondorder.optim.protocol import StepResult
from secondorder.training.networks import rebuild_network
from secondorder.training.schedules import Schedule
from secondorder.training.snapshots import load_snapshot

RATE = 0.05


class Idle:
    """An optimizer that looks and never moves: each step costs some gradients."""

    gradients = 1

    def __init__(self, parameters, settings):
        pass

    def step(self, objective, schedule_factor):
        for _ in range(self.gradients):
            loss = objective.loss_and_gradient()
        return StepResult(loss)

    def state_dict(self):
        return {}

    def load_state_dict(self, state):
        pass


def shrinkage(run, dataset, monkeypatch, gradients, **changes):
    """The ratio of the weights at the end to those at the start, and the same of the biases."""
    monkeypatch.setattr(Idle, "gradients", gradients)
    monkeypatch.setattr(optim.load("sgd"), "build", Idle)
    chosen = specification(
        problem_settings={"hidden": "4", "decoupled_decay": RATE}, snapshots=(0.0, 1.0), budget_epochs=3, **changes
    )
    run.train(dataset, chosen)
    networks = [
        rebuild_network(chosen, load_snapshot(run.file("snapshots.npz"), 0, share)).double() for share in (0.0, 1.0)
    ]
    (start, end) = ([parameter.detach().numpy() for parameter in network.parameters()] for network in networks)
    ratios = [np.median(after / before) for before, after in zip(start, end, strict=True)]
    return ratios[0], ratios[1]


@pytest.mark.parametrize("gradients", [1, 3])
def test_budget_decides_the_decay_however_long_the_steps_are(run, dataset, monkeypatch, gradients):
    weights, biases = shrinkage(run, dataset, monkeypatch, gradients)
    assert weights == pytest.approx((1 - RATE) ** (3 * EPOCH_WORK), rel=1e-6)
    assert biases == 1.0


def test_decay_follows_the_schedule(run, dataset, monkeypatch):
    weights, _ = shrinkage(run, dataset, monkeypatch, 1, schedule={"kind": "cosine"})
    budget = 3 * EPOCH_WORK
    factors = [Schedule("cosine").factor(step / budget) for step in range(budget)]
    assert weights == pytest.approx(np.prod([1 - RATE * factor for factor in factors]), rel=1e-6)
    assert weights > 1.2 * (1 - RATE) ** budget
