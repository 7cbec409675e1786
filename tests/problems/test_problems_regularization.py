"""Dropout, penalty and decoupled decay of problems, each off by default, and what decay does per unit of work."""

import pytest
import torch
from torch import nn

from secondorder import problems
from secondorder.training.decay import decay_weights

REGULARIZED = pytest.mark.parametrize("name", ["mnist_mlp", "cifar10_3c3d"])


def build(name, **settings):
    module = problems.load(name)
    return module.build(module.Settings(**settings))


@REGULARIZED
def test_settings_reach_the_problem(name):
    problem = build(name, penalty=0.25, decoupled_decay=0.125)
    assert (problem.penalty, problem.decoupled_decay) == (0.25, 0.125)
    assert build(name).decoupled_decay == 0.0


@REGULARIZED
def test_dropout_follows_every_hidden_activation_and_nothing_else(name):
    plain = [type(layer) for layer in build(name).network()]
    dropped = list(build(name, dropout=0.25).network())
    assert nn.Dropout not in plain
    assert [type(layer) for layer in dropped if not isinstance(layer, nn.Dropout)] == plain
    places = [place for place, layer in enumerate(dropped) if isinstance(layer, nn.Dropout)]
    activations = [place for place, layer in enumerate(dropped) if isinstance(layer, nn.ReLU)]
    assert places == [place + 1 for place in activations]
    assert {dropped[place].p for place in places} == {0.25}


@REGULARIZED
def test_dropout_leaves_the_initialisation_as_it_is(name):
    drawn = []
    for share in (0.0, 0.5):
        torch.manual_seed(0)
        drawn.append(nn.utils.parameters_to_vector(build(name, dropout=share).network().parameters()))
    assert torch.equal(*drawn)


def test_decay_shrinks_weights_and_not_biases():
    model = nn.Linear(2, 1).double()
    with torch.no_grad():
        model.weight.copy_(torch.tensor([[2.0, -4.0]]))
        model.bias.fill_(3.0)
    decay_weights(model, 0.25, 2.0)
    assert model.weight.tolist() == [[1.125, -2.25]], "(1 - 1/4)² = 9/16 of it"
    assert model.bias.tolist() == [3.0]


def test_total_decay_depends_on_the_work_and_not_on_the_steps():
    ends = []
    for steps in (1, 4, 30):
        model = nn.Linear(3, 3, bias=False).double()
        nn.init.ones_(model.weight)
        for _ in range(steps):
            decay_weights(model, 0.01, 60 / steps)
        ends.append(model.weight.detach())
    torch.testing.assert_close(ends[0], torch.full((3, 3), 0.99**60, dtype=torch.float64), rtol=1e-13, atol=0)
    torch.testing.assert_close(ends[1], ends[0], rtol=1e-13, atol=0)
    torch.testing.assert_close(ends[2], ends[0], rtol=1e-13, atol=0)


def test_frozen_weights_and_a_rate_of_0_leave_every_bit():
    model = nn.Linear(3, 3)
    before = model.weight.detach().clone()
    decay_weights(model, 0.0, 5.0)
    model.weight.requires_grad_(False)
    decay_weights(model, 0.5, 5.0)
    assert torch.equal(model.weight, before)
