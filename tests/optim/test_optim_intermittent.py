"""Intermittent curvature is its two optimizers in turns, to the bit, and what it runs is part of what it is."""

import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils import parameters_to_vector

from secondorder import optim
from secondorder.errors import ConfigurationError
from secondorder.optim import adam, intermittent, newton_krylov, sgd
from secondorder.optim.intermittent import Intermittent
from secondorder.optim.protocol import StepResult
from secondorder.training.objective import Objective
from secondorder.training.work import Work

PAIR = {"learning_rate": 0.05, "damping": 0.2, "rare_settings": "krylov_steps=3, control=armijo"}
ALONE = {
    "frequent": (sgd, sgd.Settings(learning_rate=0.05, momentum=0.9)),
    "rare": (newton_krylov, newton_krylov.Settings(damping=0.2, krylov_steps=3, control="armijo")),
}


def trained(module, settings, steps=6):
    """Parameters and work after some steps on a network with dropout."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Dropout(0.3), nn.Linear(4, 2))
    optimizer = module.build(model.parameters(), settings)
    work = Work(8)
    for _ in range(steps):
        inputs, targets = torch.randn(8, 3), torch.randn(8, 2)
        optimizer.step(Objective(model, functional.mse_loss, inputs, targets, work, 0.01), 0.7)
    return parameters_to_vector(model.parameters()), work


@pytest.mark.parametrize(("every", "same", "other"), [(1, "rare", "frequent"), (10**9, "frequent", "rare")])
def test_with_one_of_them_alone_it_is_that_one_to_the_bit(every, same, other):
    parameters, work = trained(intermittent, intermittent.Settings(every=every, **PAIR))
    expected_parameters, expected_work = trained(*ALONE[same])
    assert torch.equal(parameters, expected_parameters)
    assert work == expected_work
    assert not torch.equal(parameters, trained(*ALONE[other])[0])


class Recording:
    """An optimizer that writes its name down."""

    def __init__(self, name, taken):
        self.name, self.taken = name, taken

    def step(self, objective, schedule_factor):
        self.taken.append((self.name, schedule_factor))
        return StepResult(torch.zeros(()))

    def state_dict(self):
        return {}

    def load_state_dict(self, state):
        pass


@pytest.mark.parametrize("resumed_after", [0, 2, 3])
def test_every_third_step_is_the_rare_one_also_when_resumed(resumed_after):
    taken = []
    optimizer = Intermittent(Recording("frequent", taken), Recording("rare", taken), 3)
    for step in range(7):
        if step == resumed_after:
            state = optimizer.state_dict()
            optimizer = Intermittent(Recording("frequent", taken), Recording("rare", taken), 3)
            optimizer.load_state_dict(state)
        optimizer.step(None, step)
    names = ["frequent", "frequent", "rare"] * 2 + ["frequent"]
    assert taken == list(zip(names, range(7), strict=True))


def test_further_settings_are_read_from_text():
    given = intermittent.Settings(frequent="adam", frequent_settings="beta1=0.5", rare_settings="end_early=false")
    (first, second) = intermittent.uses(given)
    assert first == ("adam", adam.Settings(learning_rate=0.01, beta1=0.5))
    assert second == ("newton_krylov", newton_krylov.Settings(damping=0.1, end_early=False))


REFUSED = {
    "unknown optimizer": ({"rare": "newton"}, "no optimizer 'newton'; there are"),
    "rare one without damping": ({"rare": "adam"}, "'damping' is not a setting of secondorder.optim.adam"),
    "unknown setting": (
        {"frequent_settings": "momentun=0.9"},
        "'momentun' is not a setting of .*sgd; it has",
    ),
    "out of bounds": ({"frequent_settings": "momentum=1.5"}, "momentum is 1.5; it must be below 1"),
    "refused by itself": ({"frequent_settings": "nesterov=true"}, "momentum is 0"),
    "given twice": ({"frequent_settings": "learning_rate=1"}, "learning_rate of sgd is a setting of its own here"),
}


@pytest.mark.parametrize(("settings", "message"), REFUSED.values(), ids=REFUSED)
def test_settings_that_do_not_fit_are_refused(settings, message):
    with pytest.raises(ConfigurationError, match=message):
        intermittent.Settings(**settings)


USED = {
    "one that runs no other": ("sgd", {"momentum": 0.9}, ["sgd"]),
    "a base": ("fosi", {"base": "sgd"}, ["fosi", "sgd"]),
    "the default pair": ("intermittent", {}, ["intermittent", "newton_krylov", "sgd"]),
    "two of the same": (
        "intermittent",
        {"frequent": "newton_krylov", "frequent_settings": ""},
        ["intermittent", "newton_krylov"],
    ),
    "one that runs others itself": (
        "intermittent",
        {"frequent": "fosi", "frequent_settings": ""},
        ["adam", "fosi", "intermittent", "newton_krylov"],
    ),
}


@pytest.mark.parametrize(("name", "settings", "expected"), USED.values(), ids=USED)
def test_the_optimizers_that_a_run_uses(name, settings, expected):
    assert optim.used(name, settings) == expected
