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
from secondorder.training.work import Work

CONFIG = Path(__file__).resolve().parents[2] / "config"
FEWEST_STEPS = 3


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


def losses(name, problem, run, count, shape, budget):
    """The loss of one mini-batch before training on it with the settings of the tier, and after."""
    specification = run_specification(tier(name), problem, run)
    built, module, work = build_problem(specification), optim.load(specification.optimizer), Work(count)
    torch.manual_seed(0)
    model = built.network().train()
    optimizer = module.build(list(model.parameters()), settings_from(module.Settings, specification.optimizer_settings))
    examples = samples(count, shape, built.reconstructs)

    def objective():
        return Objective(model, built.loss, *examples, work, built.penalty)

    before, steps = float(objective().loss()), 0
    while steps < FEWEST_STEPS or work.gradient_equivalents < budget:
        optimizer.step(objective(), 1.0)
        steps += 1
    return before, float(objective().loss())


@pytest.mark.parametrize(("name", "problem", "run"), claims("smoke"))
def test_loss_falls_on_small_networks(name, problem, run):
    before, after = losses(name, problem, run, count=32, shape=(1, 28, 28), budget=15)
    assert after < before


@pytest.mark.parametrize(("name", "problem", "run"), claims("reduced", ["cifar10_3c3d", "cifar10_resnet20"]))
def test_loss_falls_on_colour_images(name, problem, run):
    before, after = losses(name, problem, run, count=4, shape=(3, 32, 32), budget=4)
    assert after < before
