"""Estimates are judged by what dense matrices say of them, and by no more than is known of the exact one."""

import dataclasses
import math

import numpy as np
import pytest
import torch
from approximation_cases import (
    JUDGEMENT,
    METHODS,
    SIZE,
    batch,
    dense_hessian_of,
    leading_vectors,
    newton_direction,
    written_out,
)
from scipy.linalg import subspace_angles
from scipy.stats import wasserstein_distance

from secondorder.curvature.eigenbasis import Eigenbasis
from secondorder.curvature.forms.low_rank import LowRankForm
from secondorder.errors import CapabilityError, ResultError
from secondorder.validation import truth as module
from secondorder.validation.approximation_methods import Estimate, extreme_pairs
from secondorder.validation.truth import MEASURES, Truth, found_values

OF_WHOLE_MATRIX = ("density_distance", "matrix_error", "trace_error", "direction_cosine")
OF_EXTREMES = ("leading_error", "largest_error", "negative_error", "subspace_angle")
NUMBERS_ALONE = ("Lanczos quadrature 3", "Hutchinson trace 3")
MATRICES = [pytest.param(METHODS[name], id=name) for name in METHODS if name not in NUMBERS_ALONE]


@pytest.fixture(scope="module")
def case():
    return batch()


@pytest.fixture(scope="module")
def hessian(case):
    return dense_hessian_of(case)


@pytest.fixture(scope="module")
def truth(case):
    return Truth.of(case, JUDGEMENT)


@pytest.fixture
def incomplete(case, monkeypatch):
    def refuse(*_parts):
        raise CapabilityError("the layer is not known")

    monkeypatch.setattr(module, "exact_form", refuse)
    return lambda: Truth.of(case, JUDGEMENT)


def test_exact_hessian_is_the_dense_one(truth, hessian):
    assert truth.complete
    np.testing.assert_allclose(written_out(truth.form), hessian, atol=1e-14)


def dense_measures(found, hessian, gradient):
    """All measures from entries and from lists of all eigenvalues, by NumPy and SciPy."""
    matrix, pairs = written_out(found.form), JUDGEMENT.pairs
    given, exact = np.linalg.eigvalsh(matrix), np.linalg.eigvalsh(hessian)
    leading = found.form.leading(pairs)
    # Of equal eigenvalues any vectors are right, so those that were chosen are checked and then measured.
    np.testing.assert_allclose(matrix @ leading.vectors.numpy(), (leading.vectors * leading.values).numpy(), atol=1e-12)
    np.testing.assert_allclose(np.sort(leading.values.abs().numpy()), np.sort(np.abs(given))[-pairs:], atol=1e-12)
    lower, upper = np.full(pairs, np.nan), np.full(pairs, np.nan)
    if found.partial:
        claimed = np.sort(found.claimed.values.numpy())
        below, above = claimed[claimed < 0][:pairs], claimed[claimed > 0][::-1][:pairs]
        lower[: len(below)], upper[: len(above)] = below, above
    else:
        lower, upper = given[:pairs], given[::-1][:pairs]
    directions = [newton_direction(each, gradient, JUDGEMENT.damping) for each in (matrix, hessian)]
    along = directions[0] @ directions[1] / np.linalg.norm(directions[0]) / np.linalg.norm(directions[1])
    sizes = np.sort(np.abs(given))[::-1]
    apart = sizes[pairs - 1] - sizes[pairs] > 1e-9 * sizes[0]
    angles = subspace_angles(leading_vectors(hessian, pairs), leading.vectors.numpy())
    return {
        "leading_error": abs(given[np.abs(given).argmax()] / exact[np.abs(exact).argmax()] - 1),
        "largest_error": np.abs(upper - exact[::-1][:pairs]).max() / np.abs(exact[-pairs:]).max(),
        "negative_error": np.abs(lower - exact[:pairs]).max() / np.abs(exact[:pairs]).max(),
        "subspace_angle": math.degrees(angles.max()) if apart else math.nan,
        "density_distance": wasserstein_distance(given, exact) / np.abs(exact).mean(),
        "matrix_error": np.linalg.norm(matrix - hessian) / np.linalg.norm(hessian),
        "trace_error": abs(np.trace(matrix) - np.trace(hessian)) / np.abs(exact).sum(),
        "direction_cosine": along,
    }


@pytest.mark.parametrize("method", MATRICES)
def test_measures_are_those_of_dense_matrices(method, case, truth, hessian):
    found = method.estimate(case)
    expected = dense_measures(found, hessian, case.gradient().numpy())
    # The Frobenius error resolves the root of the rounding of 1, and so does a sine near the right angle.
    tolerance = dict.fromkeys(MEASURES, 1e-11) | {"matrix_error": 1e-7, "subspace_angle": 2e-6}
    measures = truth.measures(found)
    assert list(measures) == list(MEASURES)
    for name, value in measures.items():
        assert value == pytest.approx(expected[name], rel=1e-10, abs=tolerance[name], nan_ok=True), name


def test_distance_of_a_density_is_the_area_between_distribution_functions(case, truth, hessian):
    found = METHODS["Lanczos quadrature 3"].estimate(case)
    measures = truth.measures(found)
    exact = np.linalg.eigvalsh(hessian)
    nodes, weights = found.density.nodes.numpy(), found.density.weights.numpy()
    points = np.sort(np.concatenate([nodes, exact]))
    middles = (points[1:] + points[:-1]) / 2
    heights = [weights[nodes <= middle].sum() - (exact <= middle).mean() for middle in middles]
    area = np.abs(heights) @ np.diff(points)
    assert measures["density_distance"] == pytest.approx(area / np.abs(exact).mean(), rel=1e-9)


@pytest.mark.parametrize("name", NUMBERS_ALONE)
def test_numbers_alone_have_no_eigenvectors_and_no_direction(name, case, truth):
    measures = truth.measures(METHODS[name].estimate(case))
    missing = {*OF_EXTREMES, "matrix_error", "direction_cosine"} | (
        {"density_distance"} if name == "Hutchinson trace 3" else set()
    )
    assert {each for each, value in measures.items() if math.isnan(value)} == missing


def test_exact_method_is_exact_to_rounding(case, truth):
    measures = truth.measures(METHODS["exact"].estimate(case))
    for name in ("leading_error", "largest_error", "negative_error", "density_distance"):
        assert measures[name] <= 1e-12, name
    assert measures["trace_error"] <= 1e-12
    assert measures["direction_cosine"] == pytest.approx(1, abs=1e-12)


def test_wrong_sign_is_noticed_by_every_measure_that_sees_signs(truth):
    wrong = Estimate.of(LowRankForm(-truth.form.values, truth.form.vectors))
    measures = truth.measures(wrong)
    assert measures["subspace_angle"] <= 1e-5
    assert measures["direction_cosine"] == pytest.approx(1)
    assert measures["matrix_error"] == pytest.approx(2)
    for name in ("largest_error", "negative_error", "density_distance", "trace_error"):
        assert measures[name] > 0.1, name


def test_turned_eigenvectors_are_noticed_where_eigenvalues_are_right(truth):
    turned = Estimate.of(LowRankForm(truth.form.values, truth.form.vectors.flip(0)))
    measures = truth.measures(turned)
    assert measures["largest_error"] == measures["density_distance"] == 0
    assert measures["subspace_angle"] > 10
    assert measures["matrix_error"] > 0.1
    assert measures["direction_cosine"] < 0.99


@pytest.mark.parametrize("place", [0, 3, -1], ids=["largest", "in the middle", "smallest"])
def test_exact_hessian_that_lacks_a_pair_judges_nothing(place, case, truth, monkeypatch):
    kept = torch.ones(len(truth.form.values), dtype=torch.bool)
    kept[place] = False
    lacking = LowRankForm(truth.form.values[kept], truth.form.vectors[:, kept])
    monkeypatch.setattr(module, "exact_form", lambda *_parts: lacking)
    with pytest.raises(ResultError, match="the exact Hessian of a batch of 6 differs from double backward by"):
        Truth.of(case, JUDGEMENT)


def test_few_pairs_count_for_the_end_that_they_are_at():
    values = torch.tensor([-1.0, 2, 3], dtype=torch.float64)
    pairs = Eigenbasis(values, torch.eye(SIZE, 3, dtype=torch.float64), torch.zeros(3))
    found = Estimate.of_pairs(LowRankForm(values, pairs.vectors), pairs, 5, converged=True)
    np.testing.assert_array_equal(found_values(found, "largest", 3), [3, 2, math.nan])
    np.testing.assert_array_equal(found_values(found, "most negative", 3), [-1, math.nan, math.nan])


def test_refused_estimate_has_no_measure(truth):
    assert all(math.isnan(value) for value in truth.measures(Estimate(refusal="no")).values())


def test_without_the_closed_form_extremes_alone_are_known(incomplete, hessian):
    truth, values = incomplete(), np.linalg.eigvalsh(hessian)
    assert not truth.complete
    assert truth.form.size == SIZE
    # One more at each end than is compared, by which it is known whether the leading ones are set apart.
    pairs = JUDGEMENT.pairs + 1
    expected = [*values[:pairs], *values[-pairs:]]
    np.testing.assert_allclose(truth.form.values, expected, atol=1e-12 * abs(values).max())


@pytest.mark.parametrize("name", ["exact", "Gauss-Newton", "K-FAC", "diagonal"])
def test_without_the_closed_form_extremes_are_judged_as_with_it(name, case, truth, incomplete):
    found = METHODS[name].estimate(case)
    known, judged = truth.measures(found), incomplete().measures(found)
    assert all(math.isnan(judged[each]) for each in OF_WHOLE_MATRIX)
    for each in OF_EXTREMES:
        assert judged[each] == pytest.approx(known[each], rel=1e-9, abs=1e-5), each


def test_without_any_way_to_the_hessian_the_remedy_is_named(incomplete, monkeypatch):
    found = dataclasses.replace(extreme_pairs(batch().products(), SIZE, 3, 400), converged=False)
    monkeypatch.setattr(module, "extreme_pairs", lambda *_given: found)
    expected = "the layer is not known; and .* within 400 products, so raise curvature.approximations.products"
    with pytest.raises(CapabilityError, match=expected):
        incomplete()
