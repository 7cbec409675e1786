"""Metrics are sums over samples with a direction, bounds and a form in which they are shown."""

import pytest
import torch

from secondorder import problems
from secondorder.metric import MetricDescription
from secondorder.problems.metrics import ACCURACY, SQUARED_RECONSTRUCTION_ERROR


@pytest.mark.parametrize(
    ("name", "metric"),
    [
        (name, SQUARED_RECONSTRUCTION_ERROR if name == "mnist_autoencoder" else ACCURACY)
        for name in problems.available()
    ],
)
def test_metric_of_every_problem(name, metric):
    module = problems.load(name)
    assert module.build(module.Settings()).metric is metric


def test_accuracy_counts_the_samples_whose_largest_output_is_the_label():
    outputs = torch.tensor([[0.1, 0.9, 0.0], [2.0, 1.0, 3.0], [5.0, 0.0, 0.0]])
    assert float(ACCURACY.total(outputs, torch.tensor([1, 0, 0]))) == 2


def test_squared_error_is_summed_over_pixels_and_samples():
    logits = torch.log(torch.tensor([[1.0, 3.0], [1 / 3, 1.0]], dtype=torch.float64))
    pixels = torch.tensor([[0.0, 1.0], [0.25, 0.9]], dtype=torch.float64)
    total = SQUARED_RECONSTRUCTION_ERROR.total(logits, pixels)
    assert float(total) == pytest.approx(0.5**2 + 0.25**2 + 0 + 0.4**2, rel=1e-12)


@pytest.mark.parametrize(
    ("metric", "good", "bad"),
    [
        pytest.param(ACCURACY, 0.9, 0.8, id="accuracy"),
        pytest.param(SQUARED_RECONSTRUCTION_ERROR, 8.0, 9.0, id="squared error"),
    ],
)
def test_better_values_reach_a_target_have_less_error_and_a_gap_of_their_sign(metric, good, bad):
    assert metric.reached(good, bad)
    assert metric.reached(bad, bad)
    assert not metric.reached(bad, good)
    assert 0 < metric.error(good) < metric.error(bad)
    assert metric.gap(training=good, validation=bad) == pytest.approx(abs(good - bad))


@pytest.mark.parametrize(
    ("metric", "value", "allowed"),
    [
        (ACCURACY, 0.0, False),
        (ACCURACY, 0.5, True),
        (ACCURACY, 1.0, False),
        (SQUARED_RECONSTRUCTION_ERROR, 0.0, False),
        (SQUARED_RECONSTRUCTION_ERROR, 90.0, True),
    ],
)
def test_targets_lie_between_the_bounds(metric, value, allowed):
    assert metric.is_target(value) is allowed


@pytest.mark.parametrize(
    ("metric", "title", "text"),
    [
        (ACCURACY, "accuracy (%)", "12.50%"),
        (SQUARED_RECONSTRUCTION_ERROR, "squared error per image", "0.12"),
    ],
)
def test_what_readers_see(metric, title, text):
    assert (metric.title, metric.text(0.125)) == (title, text)


def test_plain_values_make_the_description_again():
    made = MetricDescription(**ACCURACY.to_mapping())
    assert made.to_mapping() == ACCURACY.to_mapping()
    assert "total" not in made.to_mapping()
