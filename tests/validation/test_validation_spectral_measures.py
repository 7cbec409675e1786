"""Each measure is the same number that all entries and all eigenvalues of two dense matrices give."""

import math

import numpy as np
import pytest
import torch
from scipy.linalg import subspace_angles
from scipy.stats import wasserstein_distance

from secondorder.curvature.forms.diagonal import DiagonalForm
from secondorder.curvature.forms.low_rank import LowRankForm
from secondorder.curvature.forms.symmetric_form import Spectrum
from secondorder.curvature.spectral_density import SpectralDensity
from secondorder.validation.approximation_methods import density_of
from secondorder.validation.spectral_measures import (
    cosine,
    density_distance,
    extreme_error,
    extreme_values,
    leading_error,
    leading_gap,
    matrix_error,
    subspace_angle,
    trace_error,
)

SIZE = 9


def doubles(*numbers):
    return torch.tensor(numbers, dtype=torch.float64)


def orthonormal(count, seed):
    generator = torch.Generator().manual_seed(seed)
    return torch.linalg.qr(torch.randn(SIZE, count, generator=generator, dtype=torch.float64)).Q


EXACT = LowRankForm(doubles(5, -3, 2, 0.5), orthonormal(4, 0))
FOUND = {
    "low rank": LowRankForm(doubles(4, -1), orthonormal(2, 1)),
    "with a background": LowRankForm(doubles(4, -1), orthonormal(2, 1), 0.7),
    "diagonal": DiagonalForm(torch.linspace(-1, 3, SIZE, dtype=torch.float64)),
}
NOTHING = LowRankForm(doubles(), torch.zeros(SIZE, 0, dtype=torch.float64))
FORMS = [pytest.param(form, id=name) for name, form in FOUND.items()]


def dense(form):
    return form.applied(torch.eye(SIZE, dtype=torch.float64)).numpy()


@pytest.mark.parametrize("count", [1, 3, SIZE])
@pytest.mark.parametrize("form", [*FORMS, pytest.param(EXACT, id="exact")])
def test_extreme_values_are_the_ends_of_all_eigenvalues(form, count):
    values = np.linalg.eigvalsh(dense(form))
    np.testing.assert_allclose(extreme_values(form.spectrum(), count, largest=False), values[:count], atol=1e-13)
    np.testing.assert_allclose(extreme_values(form.spectrum(), count, largest=True), values[::-1][:count], atol=1e-13)


@pytest.mark.parametrize("largest", [True, False])
@pytest.mark.parametrize("form", FORMS)
def test_extreme_error_is_that_of_dense_eigenvalues(form, largest):
    end = slice(None, -4, -1) if largest else slice(3)
    wanted, given = (np.linalg.eigvalsh(dense(each))[end] for each in (EXACT, form))
    expected = np.abs(given - wanted).max() / np.abs(wanted).max()
    found, exact = (extreme_values(each.spectrum(), 3, largest=largest) for each in (form, EXACT))
    assert extreme_error(found, exact) == pytest.approx(expected, rel=1e-12)


def test_eigenvalue_that_is_not_found_has_no_error():
    assert math.isnan(extreme_error(doubles(5, math.nan), doubles(5, 2)))


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        pytest.param(FOUND["low rank"], 1 / 5, id="too small"),
        pytest.param(LowRankForm(-EXACT.values, EXACT.vectors), 2, id="wrong sign"),
        pytest.param(EXACT, 0, id="exact"),
    ],
)
def test_leading_error_is_that_of_the_eigenvalue_of_largest_size(form, expected):
    assert leading_error(form.spectrum(), EXACT.spectrum()) == pytest.approx(expected, abs=1e-14)


@pytest.mark.parametrize(
    ("values", "count", "expected"),
    [
        pytest.param((5, -3, 2), 1, 0.4, id="apart"),
        pytest.param((5, -3, 3), 2, 0, id="of equal size"),
        pytest.param((5, -3, 2), 4, 0, id="among zeros"),
        pytest.param((5, -3, 2), 3, 0.4, id="above zeros"),
        pytest.param((), 2, 0, id="none but zeros"),
    ],
)
def test_leading_gap_is_the_step_behind_the_leading_ones(values, count, expected):
    form = LowRankForm(doubles(*values), orthonormal(len(values), 0))
    assert leading_gap(form.spectrum(), count) == pytest.approx(expected)


@pytest.mark.parametrize("turn", [1e-9, 0.3, math.pi / 2], ids=["tiny", "some", "right angle"])
def test_subspace_angle_is_the_one_that_a_plane_was_turned_by(turn):
    basis = orthonormal(3, 2)
    turned = torch.stack([basis[:, 0], math.cos(turn) * basis[:, 1] + math.sin(turn) * basis[:, 2]], dim=1)
    angle = math.radians(subspace_angle(basis[:, :2], turned))
    # The sine of an angle near the right one knows half of its digits.
    assert angle == pytest.approx(turn, rel=1e-6, abs=1e-7 if turn > 1 else 0)


def test_subspace_angle_is_that_of_scipy_and_has_no_order():
    first, second = orthonormal(3, 3), orthonormal(3, 4)
    expected = math.degrees(subspace_angles(first.numpy(), second.numpy()).max())
    assert subspace_angle(first, second) == pytest.approx(expected, rel=1e-10)
    assert subspace_angle(second, first) == pytest.approx(expected, rel=1e-10)


def test_subspaces_of_other_dimensions_are_at_a_right_angle():
    assert subspace_angle(orthonormal(3, 3), orthonormal(2, 3)) == 90


@pytest.mark.parametrize("form", FORMS)
def test_density_distance_is_that_of_the_lists_of_all_eigenvalues(form):
    exact, given = (np.linalg.eigvalsh(dense(each)) for each in (EXACT, form))
    expected = wasserstein_distance(given, exact) / np.abs(exact).mean()
    found = density_distance(density_of(form.spectrum()), density_of(EXACT.spectrum()))
    assert found == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("form", FORMS)
def test_matrix_error_is_that_of_all_entries(form):
    expected = np.linalg.norm(dense(form) - dense(EXACT)) / np.linalg.norm(dense(EXACT))
    assert matrix_error(form, EXACT) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("form", FORMS)
def test_trace_error_is_that_of_the_diagonals_over_all_absolute_eigenvalues(form):
    scale = np.abs(np.linalg.eigvalsh(dense(EXACT))).sum()
    expected = abs(np.trace(dense(form)) - np.trace(dense(EXACT))) / scale
    assert trace_error(form.spectrum().trace, EXACT.spectrum()) == pytest.approx(expected, rel=1e-12)


def test_nothing_known_is_an_error_of_one():
    assert matrix_error(NOTHING, EXACT) == 1
    assert density_distance(density_of(NOTHING.spectrum()), density_of(EXACT.spectrum())) == pytest.approx(1)
    assert extreme_error(doubles(0, 0), doubles(5, 2)) == 1


def test_exact_matrix_has_no_error():
    assert matrix_error(EXACT, EXACT) <= 1e-7
    assert density_distance(density_of(EXACT.spectrum()), density_of(EXACT.spectrum())) == 0
    assert trace_error(EXACT.spectrum().trace, EXACT.spectrum()) == 0


WRONG = LowRankForm(EXACT.values * doubles(1, -1, 1, 1), EXACT.vectors)
TURNED = LowRankForm(EXACT.values, EXACT.vectors[:, [1, 0, 2, 3]])


@pytest.mark.parametrize(
    ("found", "measure", "least"),
    [
        pytest.param(
            WRONG,
            lambda m: extreme_error(*(extreme_values(each.spectrum(), 1, largest=False) for each in (m, EXACT))),
            0.9,
            id="lowest eigenvalue",
        ),
        pytest.param(WRONG, lambda m: trace_error(m.spectrum().trace, EXACT.spectrum()), 0.5, id="trace"),
        pytest.param(
            WRONG,
            lambda m: density_distance(density_of(m.spectrum()), density_of(EXACT.spectrum())),
            0.5,
            id="density",
        ),
        pytest.param(WRONG, lambda m: matrix_error(m, EXACT), 0.5, id="sign in the matrix"),
        pytest.param(TURNED, lambda m: matrix_error(m, EXACT), 0.5, id="vectors of other values"),
        pytest.param(
            TURNED, lambda m: subspace_angle(m.leading(1).vectors, EXACT.leading(1).vectors), 89, id="eigenspace"
        ),
    ],
)
def test_wrong_matrix_is_noticed(found, measure, least):
    assert measure(found) > least


def test_of_a_matrix_of_zeros_there_is_no_relative_error():
    zeros, found = NOTHING.spectrum(), EXACT.spectrum()
    assert math.isnan(extreme_error(doubles(5, 2), doubles(0, 0)))
    assert math.isnan(leading_error(found, zeros))
    assert math.isnan(trace_error(found.trace, zeros))
    assert math.isnan(matrix_error(EXACT, NOTHING))
    assert math.isnan(density_distance(density_of(found), density_of(zeros)))


def test_weights_of_a_density_count_as_often_as_eigenvalues():
    once = SpectralDensity(doubles(0, 0, 3), doubles(1 / 3, 1 / 3, 1 / 3))
    often = density_of(Spectrum(doubles(0, 3), torch.tensor([2, 1])))
    assert density_distance(once, often) == pytest.approx(0, abs=1e-15)


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        pytest.param((1, 0), (0, 2), 0, id="right angle"),
        pytest.param((1, 1), (-3, -3), -1, id="opposite"),
        pytest.param((1, 0), (1, 1), math.sqrt(0.5), id="half a right angle"),
        pytest.param((0, 0), (1, 1), math.nan, id="no length"),
        pytest.param((math.inf, 0), (1, 1), math.nan, id="not finite"),
    ],
)
def test_cosine_is_that_of_the_angle(first, second, expected):
    assert cosine(doubles(*first), doubles(*second)) == pytest.approx(expected, abs=1e-15, nan_ok=True)
