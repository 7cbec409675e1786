"""Largest eigenvalues and traces against dense matrices, and what is said where there are none."""

import dataclasses
import math

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from followed_runs import specification
from torch import nn
from torch.nn import functional

from secondorder.training.seed import Splits
from secondorder.validation.accumulated_products import accumulated_product
from secondorder.validation.dense import dense_hessian
from secondorder.validation.networks import initialised, perceptron, small_images
from secondorder.validation.sharpness import (
    Effort,
    estimated_trace,
    is_dense,
    largest_eigenvalue,
    measure_sharpness,
)

EFFORT = Effort(images=40, tolerance=1e-6, products=500, probes=4)


@pytest.fixture(scope="module")
def case(dataset):
    # More images than pass through at once.
    images, labels = small_images(dataset, 117)
    model = initialised(lambda: perceptron([5, 4], "tanh"), seed=0)
    return model, images, labels, dense_hessian(model, functional.cross_entropy, images, labels)


def test_largest_eigenvalue_is_the_dense_one(case):
    model, images, labels, truth = case
    product = accumulated_product(model, functional.cross_entropy, images, labels)
    found = largest_eigenvalue(product, len(truth.matrix), tolerance=1e-8, products=1000)
    assert found.converged
    assert found.largest_eigenvalue == pytest.approx(float(truth.eigenvalues[-1]), rel=1e-8)
    assert found.residual < 1e-6
    assert 10 <= found.products < 1000


def test_largest_is_not_largest_in_magnitude():
    diagonal = torch.tensor([-9.0, 2.0, 1.0, 0.0], dtype=torch.float64)
    found = largest_eigenvalue(lambda vector: diagonal * vector, 4, 1e-10, 100)
    assert found.largest_eigenvalue == pytest.approx(2)


def test_iteration_that_does_not_converge_has_no_number():
    spectrum = 1 - torch.linspace(0, 1e-6, 3000, dtype=torch.float64)
    found = largest_eigenvalue(lambda vector: spectrum * vector, 3000, tolerance=1e-14, products=20)
    assert not found.converged
    assert math.isnan(found.largest_eigenvalue)
    assert math.isnan(found.residual)
    assert found.products >= 20


def test_zero_matrix_has_a_largest_eigenvalue_of_zero():
    found = largest_eigenvalue(lambda vector: 0 * vector, 5, tolerance=1e-4, products=100)
    assert (found.largest_eigenvalue, found.residual, found.converged) == (0, 0, True)


def test_products_that_are_no_numbers_do_not_converge():
    found = largest_eigenvalue(lambda vector: torch.nan * vector, 50, tolerance=1e-4, products=100)
    assert not found.converged
    assert math.isnan(found.largest_eigenvalue)


def test_estimated_trace_is_near_the_dense_one_by_its_standard_error(case):
    matrix = case[-1].matrix
    found = estimated_trace(lambda vector: matrix @ vector, len(matrix), probes=200)
    assert found.trace_method == "Hutchinson"
    assert found.trace_standard_error > 0
    assert abs(found.trace - float(matrix.trace())) < 4 * found.trace_standard_error


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (nn.Sequential(nn.Flatten(), nn.Linear(3, 2), nn.ReLU(), nn.Linear(2, 2)), True),
        (nn.Sequential(nn.Conv2d(1, 1, 3), nn.Flatten(), nn.Linear(3, 2)), False),
        (nn.Sequential(nn.Linear(3, 2), nn.LayerNorm(2)), False),
    ],
    ids=["dense", "convolution", "normalisation"],
)
def test_trace_is_exact_for_dense_layers_alone(model, expected):
    assert is_dense(model) is expected


def test_each_seed_of_each_run_has_a_row(trained, dataset):
    runs = trained(specification(), specification(run="adam", optimizer="adam", optimizer_settings={}))
    table = measure_sharpness(runs, Splits.of(dataset, torch.device("cpu")), EFFORT)
    assert list(zip(table["run"], table["seed"], strict=True)) == [("sgd", 3), ("sgd", 5), ("adam", 3), ("adam", 5)]
    assert set(table["share"]) == {1}
    assert table["converged"].all()
    assert (table["residual"] < 1e-2).all()
    np.testing.assert_allclose(table["loss_gap"], table["validation_loss"] - table["training_loss"])
    np.testing.assert_allclose(table["metric_gap"], table["training_metric"] - table["validation_metric"])


def test_losses_are_those_of_the_end_of_training(trained, dataset, tmp_path):
    (run,) = trained(specification(seeds=(3,)))
    table = measure_sharpness([run], Splits.of(dataset, torch.device("cpu")), EFFORT)
    rows = pq.read_table(tmp_path / "sgd" / "metrics.parquet").to_pylist()
    recorded = {"training_loss": "training_loss", "validation_metric": "validation_accuracy"}
    for name, metric in recorded.items():
        measured = [row["value"] for row in rows if row["metric"] == metric]
        assert table[name].iloc[0] == measured[-1]


def test_diverged_seed_has_its_status_and_no_numbers(trained, dataset):
    (run,) = trained()
    run = dataclasses.replace(run, statuses=dict.fromkeys(run.statuses, "diverged"))
    table = measure_sharpness([run], Splits.of(dataset, torch.device("cpu")), EFFORT)
    assert table["status"].tolist() == ["diverged"] * 2
    assert table.drop(columns=["problem", "run", "seed", "status", "images"]).isna().all(axis=None)


def test_numbers_repeat_bit_for_bit(trained, dataset):
    runs = trained(specification(seeds=(3,)))
    first, second = (measure_sharpness(runs, Splits.of(dataset, torch.device("cpu")), EFFORT) for _ in range(2))
    assert first.equals(second)
