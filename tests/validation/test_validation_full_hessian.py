"""The whole Hessian is that of double backward however it is summed, and its certificate knows a wrong one."""

import dataclasses

import numpy as np
import pytest
import torch
from torch.func import functional_call, jacrev
from torch.nn import functional

from secondorder.validation.accumulated_hessian import accumulated_hessian
from secondorder.validation.certified_spectrum import CERTIFIED_PAIRS, TOLERANCE, certify, eigenpairs
from secondorder.validation.dense import dense_hessian
from secondorder.validation.full_hessian import Fitting, measure_full_hessian
from secondorder.validation.networks import initialised, perceptron, small_images

CPU = torch.device("cpu")
IMAGES = 37


@pytest.fixture(scope="module")
def given(dataset):
    model = initialised(lambda: perceptron([3], "relu"), seed=0)
    return model, functional.cross_entropy, *small_images(dataset, IMAGES)


@pytest.fixture(scope="module")
def truth(given):
    return dense_hessian(*given)


@pytest.fixture(scope="module")
def matrix(given):
    return accumulated_hessian(*given)


# The matrix


@pytest.mark.parametrize(
    ("images_at_once", "rows_at_once"),
    [
        pytest.param(IMAGES, 500, id="all at once"),
        pytest.param(10, 500, id="parts of the images, the last one smaller"),
        pytest.param(IMAGES, 100, id="parts of the rows, the last one smaller"),
        pytest.param(1, 235, id="single images"),
    ],
)
def test_matrix_is_that_of_double_backward_in_whatever_parts(given, truth, images_at_once, rows_at_once):
    found = accumulated_hessian(*given, images_at_once, rows_at_once)
    assert float((found - truth.matrix).abs().max()) < 1e-14 * truth.scale


def test_blocks_of_layers_are_those_of_the_gauss_newton_matrix_because_relu_is_piecewise_linear(given, matrix):
    model, _, inputs, _ = given
    named = {name: parameter.detach() for name, parameter in model.named_parameters()}
    jacobian = jacrev(lambda values: functional_call(model, values, (inputs,)))(named)
    shares = model(inputs).softmax(1).detach()
    curvature = torch.diag_embed(shares) - shares[:, :, None] * shares[:, None, :]
    start = 0
    for layer in ("1", "3"):
        rows = torch.cat([jacobian[f"{layer}.{kind}"].flatten(2) for kind in ("weight", "bias")], dim=2)
        stop = start + rows.shape[2]
        block = torch.einsum("nkp,nkl,nlq->pq", rows, curvature, rows) / IMAGES
        torch.testing.assert_close(matrix[start:stop, start:stop], block, rtol=0, atol=1e-14)
        start = stop


# Its eigenpairs


def test_eigenpairs_are_those_of_the_dense_matrix(matrix, truth):
    found = eigenpairs(matrix)
    assert float((found.eigenvalues - truth.eigenvalues).abs().max()) < 1e-13 * truth.scale
    rebuilt = found.eigenvectors * found.eigenvalues @ found.eigenvectors.mT
    assert float((rebuilt - truth.matrix).abs().max()) < 1e-13 * truth.scale


def test_asymmetry_is_the_largest_difference_across_the_diagonal():
    found = eigenpairs(torch.tensor([[2.0, 0.5], [0.25, 1.0]], dtype=torch.float64))
    assert found.asymmetry == 0.25
    assert found.squared_norm == pytest.approx(4 + 0.25 + 0.0625 + 1)


# The certificate


def test_certificate_of_a_right_matrix_is_rounding(given, matrix):
    certificate, residuals = certify(eigenpairs(matrix), *given)
    assert certificate.passed
    assert max(vars(certificate).values()) < 1e-12
    looked_at = torch.isfinite(residuals).nonzero().ravel().tolist()
    ends = range(len(residuals))
    assert looked_at == [*ends[:CERTIFIED_PAIRS], *ends[-CERTIFIED_PAIRS:]]


def _flipped_layer(matrix):
    wrong = matrix.clone()
    wrong[:195, 195:] *= -1
    wrong[195:, :195] *= -1
    return wrong


def _one_row(matrix):
    wrong = matrix.clone()
    wrong[200] *= 1 + 1e-6
    return wrong


def _in_single_precision(matrix):
    return matrix.float().double()


@pytest.mark.parametrize(
    ("fault", "caught_by"),
    [
        pytest.param(_flipped_layer, {"relative_residual"}, id="sign between two layers"),
        pytest.param(_one_row, {"relative_residual", "asymmetry", "trace_error"}, id="one row too long"),
        pytest.param(lambda matrix: 0.99 * matrix, {"relative_residual", "trace_error"}, id="an image too few"),
        pytest.param(_in_single_precision, {"relative_residual", "trace_error"}, id="single precision"),
    ],
)
def test_wrong_matrix_is_caught(given, matrix, fault, caught_by):
    certificate, _ = certify(eigenpairs(fault(matrix)), *given)
    assert not certificate.passed
    assert {name for name, error in vars(certificate).items() if not error <= TOLERANCE} == caught_by


@pytest.mark.parametrize(
    ("place", "caught_by"),
    [
        pytest.param(-1, {"relative_residual", "trace_error", "norm_error"}, id="the largest eigenvalue"),
        pytest.param(-CERTIFIED_PAIRS - 1, {"trace_error", "norm_error"}, id="one whose residual is not looked at"),
        pytest.param(0, {"relative_residual", "trace_error", "norm_error"}, id="not a number"),
    ],
)
def test_wrong_eigenvalue_is_caught(given, matrix, place, caught_by):
    right = eigenpairs(matrix)
    wrong = right.eigenvalues.clone()
    wrong[place] *= torch.nan if place == 0 else 1.001
    certificate, _ = certify(dataclasses.replace(right, eigenvalues=wrong), *given)
    failed = {name for name, error in vars(certificate).items() if not error <= TOLERANCE}
    assert caught_by <= failed


# The tables


@pytest.fixture(scope="module")
def tables(dataset):
    return measure_full_hessian(dataset, Fitting([1], images=140, epochs=2, batch_size=20), CPU)


def test_there_is_a_row_for_every_parameter_and_the_certificate_passes(tables):
    numbers, _ = tables
    assert numbers["index"].tolist() == list(range(785 + 20))
    assert numbers["eigenvalue"].is_monotonic_increasing
    assert numbers["residual"].notna().sum() == 2 * CERTIFIED_PAIRS
    assert numbers["passed"].all()
    assert numbers[["hidden", "parameters", "classes", "images", "epochs"]].drop_duplicates().to_numpy().tolist() == [
        ["1", 805, 10, 140, 2]
    ]


def test_images_of_the_validation_split_count(dataset, tables):
    assert len(dataset.train_labels) < tables[0]["images"].iloc[0] <= 150


def test_every_part_of_the_work_has_its_cost(tables):
    _, timing = tables
    assert timing["part"].tolist() == ["fit", "matrix", "eigenpairs", "certificate"]
    assert (timing["seconds"] > 0).all()
    assert (timing["peak_memory_bytes"] > 0).all()
    assert set(timing["device"]) == {"cpu"}


def test_fitting_lowers_the_loss_and_repeats_bit_for_bit(dataset, tables):
    drawn, _ = measure_full_hessian(dataset, Fitting([1], images=140, epochs=0, batch_size=20), CPU)
    again, _ = measure_full_hessian(dataset, Fitting([1], images=140, epochs=2, batch_size=20), CPU)
    assert tables[0]["loss"].iloc[0] < drawn["loss"].iloc[0]
    np.testing.assert_array_equal(again["eigenvalue"], tables[0]["eigenvalue"])
