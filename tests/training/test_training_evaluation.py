"""Evaluation gives the mean loss and the metric of a split, in evaluation mode."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from secondorder.problems.metrics import SQUARED_RECONSTRUCTION_ERROR
from secondorder.problems.problem import Problem
from secondorder.training.batches import DeviceSplit
from secondorder.training.evaluation import evaluate

CLASSIFICATION = Problem(network=nn.Identity, loss=functional.cross_entropy)


class Reader(nn.Module):
    """Gives the first ten pixels as its outputs."""

    def forward(self, inputs):
        return inputs.flatten(1)[:, :10]


def split_of(dataset, count):
    generator = np.random.default_rng(count)
    images = generator.integers(0, 256, (count, 1, 28, 28), dtype=np.uint8)
    labels = generator.integers(0, 10, count, dtype=np.uint8)
    return DeviceSplit(images, labels, dataset, torch.device("cpu"))


def by_hand(dataset, split, chosen):
    images, labels = split.images[chosen].double(), split.labels[chosen]
    outputs = ((images / 255 - float(dataset.mean[0])) / float(dataset.std[0])).flatten(1)[:, :10]
    loss = -outputs.log_softmax(1)[range(len(labels)), labels].mean()
    return float(loss), float((outputs.argmax(1) == labels).double().mean())


@pytest.mark.parametrize("count", [1, 40, 1000, 2001])
def test_all_images_count_equally(dataset, count):
    split = split_of(dataset, count)
    expected = by_hand(dataset, split, range(count))
    assert evaluate(Reader(), CLASSIFICATION, split) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(
    ("count", "samples", "chosen"),
    [(10, 5, [0, 2, 4, 6, 8]), (10, 3, [0, 3, 6]), (7, 7, range(7)), (7, 20, range(7)), (2500, 1, [0])],
)
def test_samples_are_spread_evenly(dataset, count, samples, chosen):
    split = split_of(dataset, count)
    expected = by_hand(dataset, split, list(chosen))
    assert evaluate(Reader(), CLASSIFICATION, split, samples) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("training", [True, False])
def test_dropout_and_running_statistics_rest_and_the_mode_is_kept(dataset, training):
    split = split_of(dataset, 30)
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(784, 10), nn.BatchNorm1d(10), nn.Dropout(0.5)).train(training)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    first, second = (evaluate(model, CLASSIFICATION, split) for _ in range(2))
    assert first == second
    assert model.training is training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_the_random_stream_is_left_alone(dataset):
    model = nn.Sequential(Reader(), nn.Dropout(0.5))
    state = torch.get_rng_state()
    evaluate(model, CLASSIFICATION, split_of(dataset, 5))
    assert torch.equal(torch.get_rng_state(), state)


def test_an_autoencoder_is_evaluated_on_its_own_pixels(dataset):
    split = split_of(dataset, 1001)
    problem = Problem(
        network=nn.Identity, loss=functional.mse_loss, metric=SQUARED_RECONSTRUCTION_ERROR, reconstructs=True
    )
    pixels = split.images.double().flatten(1) / 255
    loss, error = evaluate(nn.Flatten(), problem, split)
    assert loss == 0, "inputs and targets are the same numbers"
    assert error == pytest.approx(float((pixels.sigmoid() - pixels).square().sum(1).mean()), rel=1e-6)
