"""Products and trace of a mean over more images than pass through at once, against dense matrices."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from secondorder.validation.accumulated_products import accumulated_product, accumulated_trace
from secondorder.validation.dense import dense_hessian
from secondorder.validation.networks import initialised, perceptron, small_images


@pytest.fixture(scope="module")
def case(dataset):
    images, labels = small_images(dataset, 117)
    model = initialised(lambda: perceptron([5, 4], "tanh"), seed=0)
    return model, images, labels, dense_hessian(model, functional.cross_entropy, images, labels)


def test_product_is_that_of_the_mean_over_all_images(case):
    model, images, labels, truth = case
    vector = torch.from_numpy(np.random.default_rng(1).standard_normal(len(truth.matrix)))
    product = accumulated_product(model, functional.cross_entropy, images, labels)
    torch.testing.assert_close(product(vector), truth.matrix @ vector, rtol=0, atol=1e-12)


def test_product_of_a_part_of_the_images_is_another(case):
    model, images, labels, truth = case
    vector = torch.ones(len(truth.matrix), dtype=torch.float64)
    product = accumulated_product(model, functional.cross_entropy, images[:100], labels[:100])
    assert (product(vector) - truth.matrix @ vector).norm() > 1e-3 * (truth.matrix @ vector).norm()


def test_trace_is_the_dense_one(case):
    model, images, labels, truth = case
    found = accumulated_trace(model, functional.cross_entropy, images, labels)
    assert found == pytest.approx(float(truth.matrix.trace()), rel=1e-10)
