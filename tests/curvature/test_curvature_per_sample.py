"""The Hessians of all samples at once are those of a loop over batches of one sample."""

from functools import cache

import pytest
import torch
from curvature_cases import LOSSES, MODELS, dense, padded, problem, relative_error
from torch import nn
from torch.nn import functional

from secondorder.curvature import ADJUSTMENTS, exact_hessian
from secondorder.errors import CapabilityError, InputError

EXACT = 1e-12
CHOSEN = ("one layer", "tanh", "prelu", "no bias", "layer called twice", "long sequence", "frozen weight", "attention")
CHOSEN += ("unused parameters", "two convolutions", "group normalisation", "batch normalisation in evaluation")


@cache
def case(model, loss="cross-entropy", batch=3):
    return problem(model, loss, batch)


@cache
def all_at_once(model, loss="cross-entropy", batch=3):
    return case(model, loss, batch).per_sample()


@cache
def alone(model, loss="cross-entropy"):
    return [sample.exact() for sample in case(model, loss).samples]


def loop(hessians, what):
    return torch.stack([what(hessian) for hessian in hessians])


@pytest.mark.parametrize("model", MODELS)
def test_eigenvalues_are_those_of_the_dense_matrices_of_the_samples(model):
    given, found = case(model), all_at_once(model).eigenvalues()
    truths = [given.samples[index].hessian for index in range(3)]
    expected = torch.stack([torch.linalg.eigvalsh(truth) for truth in truths])
    assert relative_error(padded(found, len(truths[0])), expected) < EXACT


@pytest.mark.parametrize("loss", LOSSES)
def test_every_loss_is_that_of_a_batch_of_one(loss):
    # A single sample's class weight cancels in a weighted mean, and does not in a sum.
    given, found = alone("tanh", loss), all_at_once("tanh", loss)
    assert relative_error(found.losses, loop(given, lambda hessian: hessian.loss)) < EXACT
    expected = loop(given, lambda hessian: hessian.eigenvalues())
    assert float((found.eigenvalues() - expected).abs().max()) <= EXACT * max(1e-3, float(expected.abs().max()))


@pytest.mark.parametrize("coupling", ["full", "layerwise"])
@pytest.mark.parametrize("curvature", ["hessian", "ggn"])
@pytest.mark.parametrize("model", CHOSEN)
def test_options_are_those_of_one_sample(model, coupling, curvature):
    given = case(model)
    found = given.per_sample(coupling, curvature)
    for index in range(3):
        truth = given.samples[index].truth(coupling, curvature)
        values = torch.linalg.eigvalsh(truth)
        assert relative_error(padded(found.eigenvalues()[index], len(truth)), values) < EXACT
        assert abs(found.traces()[index] - truth.trace()) < EXACT * truth.diagonal().abs().sum()


@pytest.mark.parametrize("adjustment", ADJUSTMENTS)
@pytest.mark.parametrize("decay", [0.0, 0.2])
@pytest.mark.parametrize("model", CHOSEN)
def test_the_mean_direction_is_the_mean_of_the_samples_directions(model, decay, adjustment):
    expected = loop(alone(model), lambda hessian: hessian.newton_direction(0.3, adjustment, decay)).mean(0)
    found = all_at_once(model).mean_newton_direction(0.3, adjustment, decay)
    assert relative_error(found, expected) < 1e-10


@pytest.mark.parametrize("model", CHOSEN)
def test_the_mean_gradient_is_that_of_the_batch(model):
    assert relative_error(all_at_once(model).mean_gradient(), case(model).gradient) < EXACT


@pytest.mark.parametrize("adjustment", ADJUSTMENTS)
@pytest.mark.parametrize("model", ["tanh", "two convolutions"])
def test_directional_derivatives_are_the_gradients_times_the_directions(model, adjustment):
    expected = loop(alone(model), lambda hessian: hessian.gradient @ hessian.newton_direction(0.3, adjustment))
    torch.testing.assert_close(all_at_once(model).directional_derivatives(0.3, adjustment), expected)


def test_without_damping_directions_are_those_of_the_pseudo_inverse():
    expected = loop(alone("one layer"), lambda hessian: hessian.newton_direction(0.0, "absolute")).mean(0)
    assert relative_error(all_at_once("one layer").mean_newton_direction(0.0, "absolute"), expected) < 1e-9


def test_one_sample_is_the_hessian_of_the_batch():
    given = case("tanh", batch=1)
    torch.testing.assert_close(given.per_sample().eigenvalues()[0], given.exact().eigenvalues(), rtol=0, atol=1e-13)


def test_samples_of_a_loss_that_couples_a_batch_are_taken_alone():
    given = problem("tanh", batch=4)
    given.loss = lambda outputs, targets: functional.cross_entropy(outputs, targets) ** 2
    expected = loop([sample.exact() for sample in given.samples], lambda hessian: hessian.eigenvalues())
    assert relative_error(given.per_sample().eigenvalues(), expected) < EXACT


@pytest.mark.parametrize("batch", [1, 2, 3])
@pytest.mark.parametrize("shape", [(1, 2, 2), (1, 2, 3), (1, 3, 3)], ids=str)
def test_group_normalisation_is_right_whatever_its_shapes(shape, batch):
    # PyTorch's batched second derivative of it is an error for most shapes and wrong without one where shapes fit.
    given = problem("tanh", batch=batch)
    generator = torch.Generator().manual_seed(3)
    features = 4 * (shape[1] - 1) * (shape[2] - 1)
    layers = [nn.Conv2d(1, 4, 2), nn.GroupNorm(2, 4), nn.Tanh(), nn.Flatten(), nn.Linear(features, 3)]
    given.model = nn.Sequential(*layers).double()
    for parameter in given.model.parameters():
        parameter.data = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
    given.inputs = torch.randn(batch, *shape, generator=generator, dtype=torch.float64)
    expected = [torch.linalg.eigvalsh(given.samples[index].hessian) for index in range(batch)]
    found = given.per_sample().eigenvalues()
    # Two numbers of a group are normalised to ±1 up to their small ε, which takes some digits.
    assert relative_error(padded(found, len(expected[0])), torch.stack(expected)) < 1e-7


# What is wrong is refused.


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
def test_a_wrong_term_is_refused(monkeypatch, dtype):
    right = exact_hessian.activation_hessian

    def wrong(*arguments, **options):
        parts = right(*arguments, **options)
        parts.within[-1, ..., parts.within.shape[2] :] *= -1
        return parts

    monkeypatch.setattr(exact_hessian, "activation_hessian", wrong)
    with pytest.raises(CapabilityError, match="differs from double backward"):
        problem("tanh", batch=16, dtype=dtype).per_sample()


def test_exchanged_samples_are_refused(monkeypatch):
    right = exact_hessian.activation_hessian

    def exchanged(*arguments, **options):
        parts = right(*arguments, **options)
        parts.within = parts.within.flip(0)
        for layer in parts.layers:
            layer.inputs, layer.deltas = layer.inputs.flip(0), layer.deltas.flip(0)
        return parts

    monkeypatch.setattr(exact_hessian, "activation_hessian", exchanged)
    with pytest.raises(CapabilityError, match="differs from double backward"):
        case("tanh").per_sample()


class OfTheBatch(nn.Module):
    """A module whose output for a sample depends on the others'."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, inputs):
        return self.function(inputs)


COUPLED = {
    "the mean of the inputs": lambda x: x - x.mean(0),
    "the detached mean": lambda x: x - x.detach().mean(0),
    "the number of samples": lambda x: x * len(x),
    "the place in the batch": lambda x: x * (1 + torch.arange(len(x)).to(x))[:, None],
    "a running sum": lambda x: x.cumsum(0),
    "the order": lambda x: x.flip(0),
}


@pytest.mark.parametrize("where", [0, 2])
@pytest.mark.parametrize("way", COUPLED)
def test_samples_that_see_each_other_are_refused(way, where):
    def make():
        model = dense(nn.Tanh, 4)
        model.insert(where, OfTheBatch(COUPLED[way]))
        return model

    with pytest.raises(CapabilityError, match="another output when it is alone"):
        problem(make, batch=4).per_sample()


class StepsFirst(nn.Module):
    """Exchanges samples and steps before a linear layer, unseen where there are as many of both."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(2, 12)

    def forward(self, inputs):
        return self.layer(inputs.transpose(0, 1)).tanh().mean(0)


def test_steps_in_the_place_of_samples_are_refused():
    given = problem("tanh")
    given.model = nn.Sequential(StepsFirst(), nn.Linear(12, 3)).double()
    given.inputs = torch.randn(3, 3, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    with pytest.raises(CapabilityError):
        given.per_sample()


@pytest.mark.parametrize(
    "loss",
    [
        pytest.param(lambda z, y: functional.cross_entropy(z, y, ignore_index=1), id="ignored label"),
        pytest.param(
            lambda z, y: functional.cross_entropy(z, y, weight=torch.tensor([1.0, 0.0, 1.0]).to(z)), id="weight of 0"
        ),
    ],
)
def test_a_sample_without_a_loss_of_its_own_is_named(loss):
    given = problem("tanh")
    given.loss = loss
    with pytest.raises(InputError, match="the loss of sample 1 alone is nan"):
        given.per_sample()


@pytest.mark.parametrize(
    "loss",
    [
        pytest.param(lambda z, y: functional.cross_entropy(z, y) * (1 + (z.max().item() > 0)), id="reads a number"),
        pytest.param(lambda z, y: functional.cross_entropy(z[y >= 0], y[y >= 0]), id="selects by a mask"),
        pytest.param(lambda z, y: functional.cross_entropy(z + torch.randn_like(z), y), id="random"),
    ],
)
def test_a_loss_that_cannot_be_evaluated_for_all_samples_at_once_is_refused(loss):
    given = problem("tanh")
    given.loss = loss
    with pytest.raises(CapabilityError, match="cannot be evaluated for all samples at once"):
        given.per_sample()


def test_a_model_that_one_sample_does_not_fit_is_refused():
    given = problem(lambda: nn.Sequential(dense(nn.Tanh), OfTheBatch(lambda x: x.reshape(3, 3))))
    with pytest.raises(CapabilityError, match="cannot be run on one sample alone"):
        given.per_sample()


def test_it_works_where_gradients_are_switched_off():
    with torch.no_grad():
        found = case("two convolutions").per_sample()
    torch.testing.assert_close(found.eigenvalues(), all_at_once("two convolutions").eigenvalues())


def test_float32_is_right_to_its_digits():
    found = problem("two convolutions", dtype=torch.float32).per_sample().eigenvalues()
    assert relative_error(found.double(), all_at_once("two convolutions").eigenvalues()) < 2e-5
