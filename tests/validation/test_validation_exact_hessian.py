"""The comparison passes what is right, finds whatever is wrong, and says so."""

import dataclasses
import math

import pandas as pd
import pytest
import torch
from torch.nn import functional

from secondorder.curvature import ADJUSTMENTS, ExactHessian
from secondorder.errors import ResultError
from secondorder.validation.dense import dense_hessian
from secondorder.validation.exact_hessian import (
    CONTROLS,
    STRICTEST_TOLERANCE,
    WEIGHT_DECAYS,
    cases,
    claim_of,
    compare,
    eigenvalue_error,
    require_failing_controls,
    tolerance,
    validate,
)
from secondorder.validation.networks import ACTIVATIONS, LOSSES, NETWORKS, initialised, perceptron, small_images

EPSILON = torch.finfo(torch.float64).eps


@pytest.fixture(scope="module")
def table(dataset):
    images, labels = small_images(dataset, 3)
    return validate(images, labels, hidden=[5, 4], samples=[1, 3], fitted=[1e-2, 1e-5])


@pytest.fixture(scope="module")
def right(dataset):
    """A dense Hessian and the claim that is right about it."""
    images, labels = small_images(dataset, 2)
    model = initialised(lambda: perceptron([5, 4], "tanh"), seed=0)
    truth = dense_hessian(model, functional.cross_entropy, images, labels)
    return truth, claim_of(ExactHessian(model, functional.cross_entropy, images, labels))


def test_there_is_a_row_for_each_case_and_each_control(table):
    fresh = len(NETWORKS) * len(ACTIVATIONS) * len(LOSSES) * 2
    assert len(cases([1, 3], [1e-2, 1e-5])) == fresh + 2 * len(ACTIVATIONS)
    assert (table["control"] == "").sum() == fresh + 2 * len(ACTIVATIONS)
    controls = table[table["control"] != ""]
    assert controls.groupby("control").size().to_dict() == dict.fromkeys(CONTROLS, len(ACTIVATIONS) * len(LOSSES))


def test_closed_form_passes_and_controls_do_not(table):
    assert table["passed"].tolist() == (table["control"] == "").tolist()


def test_errors_are_far_below_the_tolerance_and_those_of_controls_far_above(table):
    exact = table[table["control"] == ""]
    wrong = table[table["control"] != ""]
    for error in ("eigenvalue_error", "matrix_error", "direction_error"):
        assert (exact[error] < 0.5 * exact["tolerance"]).all()
    assert wrong["eigenvalue_error"].min() > 1e6 * STRICTEST_TOLERANCE
    assert wrong["direction_error"].isna().all()
    assert exact["certificate"].max() < 1e-8


def test_fitted_samples_are_as_fitted_as_they_say(table):
    fitted = table[table["fitted"].notna()]
    assert (fitted["residual"] <= fitted["fitted"]).all()
    assert (fitted["residual"] > 0.2 * fitted["fitted"]).all()
    assert set(fitted["network"]) == {"perceptron"}


def test_rows_say_how_large_the_hessian_is(table):
    perceptrons = table[(table["network"] == "perceptron") & (table["control"] == "")]
    assert set(perceptrons["parameters"]) == {65 * 5 + 6 * 4 + 5 * 10}
    assert (table["rank"] <= table["parameters"]).all()
    assert (table["largest_eigenvalue"] > 0).all()


@pytest.mark.parametrize(
    ("residual", "loss", "expected"),
    [
        (0.9, "cross_entropy", 1e-12),
        (1e-6, "cross_entropy", 10 * EPSILON / 1e-6),
        (1e-6, "mean_squared_error", 1e-12),
    ],
)
def test_tolerance_grows_only_with_what_the_loss_itself_loses(residual, loss, expected):
    assert tolerance(residual, loss) == pytest.approx(expected)


def test_eigenvalues_are_compared_in_order_with_zeros_between():
    claimed, true = torch.tensor([-2.0, 3.0]), torch.tensor([-2.0, 0.0, 0.0, 4.0])
    assert eigenvalue_error(claimed, true) == 0.25


def test_right_claim_passes(right):
    assert compare(*right, STRICTEST_TOLERANCE)["passed"]


def claim_with(right, **changes):
    return compare(right[0], dataclasses.replace(right[1], **changes), STRICTEST_TOLERANCE)


@pytest.mark.parametrize("scale", [1e-11, 1e-3, math.nan])
def test_one_wrong_eigenvalue_fails(right, scale):
    truth, claim = right
    values = claim.eigenvalues.clone()
    values[3] += scale * truth.scale
    assert not claim_with(right, eigenvalues=values)["passed"]


@pytest.mark.parametrize("scale", [1e-11, 1e-3, math.nan])
def test_one_wrong_entry_fails(right, scale):
    truth, claim = right
    matrix = claim.matrix.clone()
    matrix[7, 2] += scale * truth.scale
    assert not claim_with(right, matrix=matrix)["passed"]


def test_transposed_sign_of_a_single_entry_pair_fails(right):
    matrix = right[1].matrix.clone()
    row, column = divmod(int(matrix.abs().fill_diagonal_(0).flatten().median(0).indices), len(matrix))
    largest = divmod(int(matrix.abs().fill_diagonal_(0).argmax()), len(matrix))
    for first, second in ((row, column), largest):
        changed = matrix.clone()
        changed[first, second], changed[second, first] = -changed[first, second], -changed[second, first]
        if float((changed - matrix).abs().max()) > STRICTEST_TOLERANCE * right[0].scale:
            assert not claim_with(right, matrix=changed)["passed"]


@pytest.mark.parametrize("chosen", [(name, decay) for name in ADJUSTMENTS for decay in WEIGHT_DECAYS], ids=str)
def test_one_wrong_direction_fails(right, chosen):
    directions = dict(right[1].directions)
    directions[chosen] = directions[chosen] * 1.001
    found = claim_with(right, directions=directions)
    assert not found["passed"]
    assert found["eigenvalue_error"] < STRICTEST_TOLERANCE


def test_direction_without_weight_decay_does_not_pass_for_one_with_it(right):
    directions = dict(right[1].directions)
    directions["absolute", WEIGHT_DECAYS[1]] = directions["absolute", 0.0]
    assert not claim_with(right, directions=directions)["passed"]


def test_control_that_passes_stops_the_stage(table):
    blind = table.copy()
    blind.loc[blind["control"] == "one sign flipped", "passed"] = True
    with pytest.raises(ResultError, match=r"the control 'one sign flipped' \(perceptron, relu, cross_entropy\) passed"):
        require_failing_controls(blind)


def test_case_that_fails_is_a_row_and_no_error(table):
    failed = table.assign(passed=False)
    require_failing_controls(failed)
    assert isinstance(failed, pd.DataFrame)
