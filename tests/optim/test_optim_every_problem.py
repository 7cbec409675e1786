"""Every optimizer lowers the training loss on every problem that it claims: that a tier trains it on."""

from functools import cache
from pathlib import Path

import pytest
import torch

from secondorder import optim
from secondorder.configuration.loading import load_configuration
from secondorder.configuration.resolution import run_specification, runs_of
from secondorder.settings import settings_from
from secondorder.training.networks import build_problem
from secondorder.training.objective import Objective
from secondorder.training.schedules import Schedule
from secondorder.training.work import Work

CONFIG = Path(__file__).resolve().parents[2] / "config"
# Roots of Shampoo are kept for many steps, of which a budget pays few: what is tuned for these may grow without bound
# on one mini-batch that comes again and again. These are ends of the ranges that it searches.
STEADY = {"shampoo": {"learning_rate": 0.01, "epsilon": 1.0}}


@cache
def tier(name):
    return load_configuration({"tier": name}, CONFIG)


def claims(name, problems=None):
    configuration = tier(name)
    return [
        pytest.param(name, problem, run, id=f"{run} on {problem}")
        for problem in problems or configuration.problems
        for run in runs_of(configuration, problem)
        if run in configuration.runs
    ]


def samples(count, shape, reconstructs):
    """Return images of noise in which a band of rows tells the label."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(count) % 10
    images = 0.2 * torch.rand(count, *shape, generator=generator)
    for image, label in zip(images, labels, strict=True):
        image[:, 2 * label : 2 * label + 4] += 0.8
    return (images, images.flatten(1)) if reconstructs else ((images - 0.3) / 0.3, labels)


def losses(name, problem, run, count, shape, steps):
    """The loss of one mini-batch before a few steps on it with the settings and the schedule of the tier, and after."""
    specification = run_specification(tier(name), problem, run)
    built, module, work = build_problem(specification), optim.load(specification.optimizer), Work(count)
    torch.manual_seed(0)
    model = built.network().train()
    settings = {**specification.optimizer_settings, **STEADY.get(run, {})}
    optimizer = module.build(list(model.parameters()), settings_from(module.Settings, settings))
    examples = samples(count, shape, built.reconstructs)

    def objective():
        return Objective(model, built.loss, *examples, work, built.penalty)

    before, schedule = float(objective().loss()), Schedule(**specification.schedule)
    for step in range(steps):
        optimizer.step(objective(), schedule.factor(step / steps))
    return before, float(objective().loss())


@pytest.mark.parametrize(("name", "problem", "run"), claims("smoke"))
def test_loss_falls_on_small_networks(name, problem, run):
    before, after = losses(name, problem, run, count=32, shape=(1, 28, 28), steps=8)
    assert after < before


@pytest.mark.parametrize(("name", "problem", "run"), claims("reduced", ["cifar10_3c3d", "cifar10_resnet20"]))
def test_loss_falls_on_colour_images(name, problem, run):
    before, after = losses(name, problem, run, count=4, shape=(3, 32, 32), steps=4)
    assert after < before
