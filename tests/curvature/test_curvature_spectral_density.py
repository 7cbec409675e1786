"""Quadratures are those of known measures, densities those of known spectra, and traces those of known matrices."""

import math

import numpy as np
import pytest
import scipy.integrate
import scipy.linalg
import scipy.stats
import torch

from secondorder.curvature.spectral_density import SpectralDensity, lanczos_quadrature
from secondorder.curvature.trace_estimate import hutchinson_trace
from secondorder.errors import InputError


def normal(*shape, seed=0):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def symmetric(size, seed=0):
    matrix = normal(size, size, seed=seed)
    return (matrix + matrix.T) / math.sqrt(8 * size)


def density_of(matrix, starts, steps):
    return lanczos_quadrature(lambda vector: matrix @ vector, starts, steps)


# One start vector: the Gauss quadrature of its measure


def test_nodes_and_weights_are_those_of_gauss_and_chebyshev():
    # Equal weights at the roots of a Chebyshev polynomial are, for degrees as low as here, Chebyshev's own measure,
    # whose quadrature is known: the roots of the polynomial of degree k, with weights 1/k.
    count, steps = 64, 9
    roots = np.cos((2 * np.arange(count) + 1) * np.pi / (2 * count))
    found = density_of(torch.diag(torch.from_numpy(roots)), torch.ones(1, count).double(), steps)
    nodes = np.sort(np.cos((2 * np.arange(steps) + 1) * np.pi / (2 * steps)))
    np.testing.assert_allclose(found.nodes.numpy(), nodes, atol=1e-13)
    np.testing.assert_allclose(found.weights.numpy(), 1 / steps, atol=1e-13)


@pytest.mark.parametrize("steps", [1, 3, 6])
def test_it_is_exact_for_polynomials_of_degree_below_twice_the_steps(steps):
    matrix, start = symmetric(30), normal(1, 30, seed=1)
    found = density_of(matrix, start, steps)
    unit = (start[0] / start[0].norm()).numpy()

    def error(power):
        return abs(found.moment(power) - unit @ np.linalg.matrix_power(matrix.numpy(), power) @ unit)

    assert max(error(power) for power in range(2 * steps)) < 1e-14
    assert error(2 * steps) > 1e-6


def test_an_invariant_space_gives_the_whole_spectrum_with_how_often_each_value_is_there():
    values = torch.tensor([-2.0, 0, 0, 0, 0, 1, 1, 5], dtype=torch.float64)
    # A start with equal parts in all eigenvectors sees each value as often as it is there.
    found = density_of(torch.diag(values), torch.ones(1, 8).double(), 20)
    np.testing.assert_allclose(found.nodes.numpy(), [-2, 0, 1, 5], atol=1e-13)
    np.testing.assert_allclose(8 * found.weights.numpy(), [1, 4, 2, 1], atol=1e-12)


# Several start vectors: the spectral density


@pytest.mark.parametrize("probes", [1, 2, 7])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_the_mass_is_one(probes, dtype):
    found = density_of(symmetric(30).to(dtype), normal(probes, 30).to(dtype), 5)
    assert abs(found.mass - 1) < 1e-14
    assert (found.weights >= 0).all()
    assert (found.nodes.diff() >= 0).all()
    assert found.nodes.shape == (5 * probes,)


def test_that_check_notices_weights_that_are_added_up():
    found = density_of(symmetric(30), normal(2, 30), 5)
    assert SpectralDensity(found.nodes, 2 * found.weights).mass - 1 == pytest.approx(1)


def test_the_density_is_that_of_the_eigenvalues():
    matrix = symmetric(300)
    found = density_of(matrix, normal(20, 300, seed=1), 40)
    eigenvalues = scipy.linalg.eigvalsh(matrix.numpy())
    thresholds = np.linspace(eigenvalues[0] - 0.1, eigenvalues[-1] + 0.1, 50)
    below = np.searchsorted(eigenvalues, thresholds) / 300
    found_below = [float(found.weights[found.nodes <= threshold].sum()) for threshold in thresholds]
    # 20 probes of 300 entries: each share has a standard error of about 1 %.
    assert np.abs(np.array(found_below) - below).max() < 0.04
    # The same distance notices a spectrum that lies elsewhere.
    assert np.abs(np.array(found_below) - np.searchsorted(eigenvalues + 0.1, thresholds) / 300).max() > 0.04


def test_the_length_of_a_start_does_not_matter():
    matrix, starts = symmetric(30), normal(2, 30, seed=1)
    one, other = density_of(matrix, starts, 5), density_of(matrix, torch.tensor([[1e-20], [1e20]]) * starts, 5)
    torch.testing.assert_close(one.nodes, other.nodes, rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(one.weights, other.weights, rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize(
    ("starts", "steps", "message"),
    [
        pytest.param(normal(30), 5, r"shape \(30,\)", id="one vector"),
        pytest.param(normal(0, 30), 5, r"shape \(0, 30\)", id="none"),
        pytest.param(normal(2, 30) * torch.tensor([[1.0], [0]]), 5, "is 0", id="no direction"),
        pytest.param(normal(2, 30), 0, "steps is 0", id="no step"),
        pytest.param(normal(2, 30) * torch.nan, 5, "not finite", id="not finite"),
    ],
)
def test_bad_input_is_refused(starts, steps, message):
    with pytest.raises(InputError, match=message):
        density_of(symmetric(30), starts, steps)


# The trace


def test_unit_vectors_that_are_scaled_give_the_exact_trace():
    # √P e_i are probes of which all together have the identity as second moment, as random signs have on average.
    matrix = symmetric(12)
    found = hutchinson_trace(lambda vector: matrix @ vector, math.sqrt(12) * torch.eye(12).double())
    assert found.trace == pytest.approx(float(matrix.trace()), rel=1e-12)


def test_signs_are_exact_on_a_diagonal():
    diagonal = torch.arange(7.0).double()
    found = hutchinson_trace(lambda vector: diagonal * vector, normal(3, 7).sign())
    assert (found.trace, found.standard_error) == (pytest.approx(21), pytest.approx(0, abs=1e-14))


def test_the_standard_error_is_that_of_theory():
    matrix, probes = symmetric(40), 4000
    found = hutchinson_trace(lambda vector: matrix @ vector, normal(probes, 40, seed=1).sign())
    off_diagonal = matrix - torch.diag(matrix.diagonal())
    expected = math.sqrt(2 * float(off_diagonal.square().sum()) / probes)
    assert found.standard_error == pytest.approx(expected, rel=0.05)
    assert abs(found.trace - float(matrix.trace())) < 4 * expected


def test_one_probe_has_no_standard_error():
    with pytest.raises(InputError, match="1 probes"):
        hutchinson_trace(lambda vector: vector, normal(1, 7))
