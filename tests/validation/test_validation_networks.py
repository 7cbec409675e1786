"""The small networks, their images and their fitted samples."""

import math

import pytest
import torch

from secondorder.errors import ResultError
from secondorder.validation.networks import (
    ACTIVATIONS,
    NETWORKS,
    evenly_spaced,
    fit,
    initialised,
    residuals,
    small_images,
    targets_for,
)


@pytest.mark.parametrize(
    ("count", "total", "expected"), [(1, 9, [0]), (3, 9, [0, 3, 6]), (4, 10, [0, 2, 5, 7]), (5, 3, [0, 1, 2])]
)
def test_samples_are_evenly_spaced_and_different(count, total, expected):
    assert evenly_spaced(count, total).tolist() == expected


def test_images_are_pooled_training_images(dataset):
    images, labels = small_images(dataset, 12)
    assert images.shape == (12, 1, 8, 8)
    assert images.dtype == torch.float64
    assert labels.tolist() == dataset.train_labels[::10].tolist()
    first = (dataset.train_images[0, 0] / 255 - float(dataset.mean[0])) / float(dataset.std[0])
    # The first pooled pixel covers the four rows and columns from the first on.
    assert float(images[0, 0, 0, 0]) == pytest.approx(first[:4, :4].mean(), rel=1e-5)


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_networks_are_the_same_each_time_and_leave_the_random_numbers_alone(network, activation):
    before = torch.get_rng_state()
    first, second = (initialised(lambda: NETWORKS[network]([4, 3], activation), seed=0) for _ in range(2))
    assert torch.equal(torch.get_rng_state(), before)
    inputs = torch.ones(2, 1, 8, 8, dtype=torch.float64)
    assert torch.equal(first(inputs), second(inputs))
    assert first(inputs).shape == (2, 10)


def test_residuals_keep_their_digits_on_a_fitted_sample():
    class Fixed(torch.nn.Module):
        def forward(self, inputs):
            return torch.tensor([[40.0, 0.0, 0.0], [0.0, 0.0, 0.0]], dtype=torch.float64)

    found = residuals(Fixed(), torch.zeros(2, 1), torch.tensor([0, 2]))
    assert found[0].item() == pytest.approx(2 * math.exp(-40), rel=1e-12)
    assert found[1].item() == pytest.approx(2 / 3)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_fit_reaches_what_is_asked_and_little_more(dataset, activation):
    images, labels = small_images(dataset, 1)
    model = initialised(lambda: NETWORKS["perceptron"]([4, 3], activation), seed=0)
    fit(model, images, labels, 1e-4)
    assert 2e-5 < residuals(model, images, labels).item() <= 1e-4


def test_fit_that_does_not_get_there_says_so(dataset):
    images, labels = small_images(dataset, 1)
    with pytest.raises(ResultError, match=r"curvature\.exact_hessian\.fitted: 1 - p_y did not reach 1e-300 .* larger"):
        fit(initialised(lambda: NETWORKS["perceptron"]([2], "relu"), seed=0), images, labels, 1e-300)


def test_squared_error_takes_one_hot_targets():
    labels = torch.tensor([2, 0])
    assert targets_for("cross_entropy", labels) is labels
    assert targets_for("mean_squared_error", labels).argmax(dim=1).tolist() == [2, 0]
