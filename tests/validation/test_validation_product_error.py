"""Products by every method are right where they can be, and wrong ones are found out."""

import pytest
import torch
from torch.nn import functional
from torch.nn.utils import parameters_to_vector, vector_to_parameters

from secondorder.curvature.hessian_vector_products import METHODS
from secondorder.errors import CapabilityError, ResultError
from secondorder.validation import product_error
from secondorder.validation.networks import initialised, small_images
from secondorder.validation.product_error import (
    CONTROLS,
    TOLERANCES,
    WITH_STEP,
    measure_product_error,
    relative_error,
    require_failing_controls,
)
from secondorder.validation.product_networks import COMPARED

STEPS = [1e-4, 1e-20, 1e-100]
DTYPES = ("float32", "float64")


@pytest.fixture(scope="module")
def images(dataset):
    return small_images(dataset, 6)


@pytest.fixture(scope="module")
def table(images):
    return measure_product_error(*images, STEPS)


def test_there_is_a_row_for_each_method_and_step_and_control(table):
    for (_, dtype), rows in table.groupby(["network", "dtype"]):
        steps = STEPS if dtype == "float64" else STEPS[:2]
        for method in METHODS:
            own = rows[(rows["method"] == method) & (rows["control"] == "")]
            expected = steps if method in WITH_STEP else [pytest.approx(float("nan"), nan_ok=True)]
            assert own["step"].tolist() == expected
        assert rows.loc[rows["control"] != "", "control"].tolist() == list(CONTROLS)
    assert table.groupby(["network", "dtype"]).ngroups == len(COMPARED) * len(DTYPES)


@pytest.mark.parametrize("dtype", DTYPES)
def test_complex_step_is_within_the_tolerance_however_small_it_is(table, dtype):
    rows = table[(table["method"] == "complex_step") & (table["dtype"] == dtype) & (table["step"] < 1e-8)]
    assert rows["passed"].all()


@pytest.mark.parametrize("method", [method for method in METHODS if method not in WITH_STEP])
def test_methods_without_a_step_are_within_the_tolerance(table, method):
    rows = table[(table["method"] == method) & (table["control"] == "")]
    assert rows["passed"].all()


def test_finite_difference_is_not_and_is_worse_the_smaller_its_step(table):
    rows = table[(table["method"] == "finite_difference") & (table["network"] != "convolutional")]
    assert not rows["passed"].any()
    smallest = rows[rows["step"] == 1e-20]
    assert ((smallest["error"] >= 0.99) | smallest["error"].isna()).all()


def test_controls_fail_by_far(table):
    wrong = table[table["control"] != ""]
    assert not wrong["passed"].any()
    assert (wrong["error"] > 20 * wrong["tolerance"]).all()


def test_error_is_relative_to_the_length_of_the_reference():
    reference = torch.tensor([3.0, 4.0], dtype=torch.float64)
    assert relative_error(torch.tensor([3.0, 3.0]), reference) == pytest.approx(0.2)


@pytest.mark.parametrize("network", COMPARED)
def test_reference_is_the_difference_of_gradients(images, network):
    inputs, labels = images
    model = initialised(COMPARED[network], seed=0).train()
    point = parameters_to_vector(model.parameters()).detach()
    vector = torch.randn(len(point), generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    reference = product_error._reference(model, inputs, labels, vector)

    def gradient_along(length):
        vector_to_parameters(point + length * vector, model.parameters())
        value = functional.cross_entropy(model(inputs), labels)
        return torch.cat([part.flatten() for part in torch.autograd.grad(value, list(model.parameters()))])

    step = 1e-6
    difference = (gradient_along(step) - gradient_along(-step)) / (2 * step)
    # Off by the square of the step, and by rounding over it.
    assert relative_error(difference, reference) < 1e-5


def test_network_that_a_method_refuses_is_a_row_without_an_error(images, monkeypatch):
    def refuse(*given):
        raise CapabilityError("the model is refused")

    monkeypatch.setattr(product_error, "hessian_vector_product", refuse)
    rows = measure_product_error(*images, STEPS)
    rows = rows[rows["control"] == ""]
    assert rows["error"].isna().all()
    assert not rows["passed"].any()


def test_control_that_passes_stops_the_stage(table):
    blind = table.copy()
    blind.loc[blind["control"] == "another point", "passed"] = True
    with pytest.raises(ResultError, match=r"the control 'another point' \(perceptron, float32\) passed"):
        require_failing_controls(blind)


def test_product_that_fails_is_a_row_and_no_error(table):
    require_failing_controls(table.assign(passed=False))


def test_numbers_repeat_bit_for_bit(table, images):
    assert measure_product_error(*images, STEPS).equals(table)


def test_tolerances_are_those_of_the_claim():
    assert {torch.float32: 2e-6, torch.float64: 1e-14} == TOLERANCES
