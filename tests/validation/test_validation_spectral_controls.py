"""Every fault in a spectrum is caught, its sound counterpart is not, and a control that is missed is an error."""

import dataclasses

import pytest
import torch
from torch.nn import functional

from secondorder.curvature.eigenbasis import leading
from secondorder.curvature.eigenpair_certificate import certify
from secondorder.curvature.lanczos import lanczos
from secondorder.errors import InputError, ResultError
from secondorder.validation.approximation_methods import CERTIFIED
from secondorder.validation.dense import dense_hessian
from secondorder.validation.networks import initialised, perceptron
from secondorder.validation.spectral_controls import (
    PAIRS,
    STEPS,
    control_spectra,
    lanczos_in_half_precision,
    lanczos_without_reorthogonalization,
    measure_spectral_controls,
    require_caught,
    with_wrong_sign,
)
from secondorder.validation.trained import Probe, TrainedNetwork

FAULTS = ["one layer's sign", "half precision", "weights not divided", "not orthogonalised again"]


@pytest.fixture(scope="module")
def batch():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        images = torch.randn(12, 1, 8, 8, dtype=torch.float64)
    return initialised(lambda: perceptron([8], "tanh"), seed=0), functional.cross_entropy, images, torch.arange(12) % 10


@pytest.fixture(scope="module")
def table(batch):
    return measure_spectral_controls(*batch)


@pytest.fixture(scope="module")
def truth(batch):
    return dense_hessian(*batch)


@pytest.fixture(scope="module")
def trained(batch):
    model, loss, images, labels = batch

    class Problem:
        """A problem of which the loss alone is asked for."""

    Problem.loss = staticmethod(loss)
    names = {"problem": "tiny", "run": "sgd", "seed": 0, "share": 0.0, "spent": 0.0}
    return TrainedNetwork(names, model, Problem()), Probe("batch", 0, images, labels)


def test_faults_are_told_with_the_last_network(trained, table):
    network, probe = trained
    other = dataclasses.replace(network, names={**network.names, "seed": 1})
    found = control_spectra([other, network], probe)
    told = {**network.names, "samples": 12}
    assert found[list(told)].drop_duplicates().to_dict("records") == [told]
    assert found[list(table)].equals(table)


def test_no_network_is_an_error(trained):
    with pytest.raises(ResultError, match="no run that is followed left a network"):
        control_spectra([], trained[1])


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_caught_and_its_counterpart_is_not(table, fault):
    rows = table[table["control"] == fault]
    assert rows["sound"].tolist() == [False, True]
    assert rows["caught"].tolist() == [True, False]


def test_each_fault_is_far_from_the_tolerance_and_its_counterpart_too(table):
    assert (table[~table["sound"]]["value"] > 1e4 * CERTIFIED).all()
    assert (table[table["sound"]]["value"] < 0.2 * CERTIFIED).all()


def test_a_row_says_what_is_checked(table):
    assert list(table.columns) == ["control", "sound", "check", "value", "tolerance", "caught"]
    assert table["control"].unique().tolist() == FAULTS
    assert table["check"].unique().tolist() == ["residual", "moments", "orthogonality"]


def start(truth):
    return torch.randn(len(truth.matrix), dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def test_without_reorthogonalization_an_eigenvalue_comes_back_as_copies_with_residuals_that_look_right(truth):
    krylov = lanczos_without_reorthogonalization(lambda vector: truth.matrix @ vector, start(truth), STEPS)
    pairs = leading(krylov, PAIRS)
    expected = truth.eigenvalues[truth.eigenvalues.abs().argsort(descending=True)[0]]
    assert ((pairs.values - expected).abs() < 1e-8 * truth.scale).sum() > 1
    unit = pairs.vectors / pairs.vectors.norm(dim=0)
    found = certify(pairs.values, unit, lambda vector: truth.matrix @ vector, CERTIFIED)
    assert found.relative < CERTIFIED
    assert found.orthogonality > 0.5


def test_without_reorthogonalization_the_first_steps_are_those_of_lanczos(truth):
    found = lanczos_without_reorthogonalization(lambda vector: truth.matrix @ vector, start(truth), 5)
    expected = lanczos(lambda vector: truth.matrix @ vector, start(truth), 5)
    torch.testing.assert_close(found.basis, expected.basis, rtol=0, atol=1e-9)
    torch.testing.assert_close(found.tridiagonal, expected.tridiagonal, rtol=0, atol=1e-9 * truth.scale)


def test_half_precision_is_right_to_its_own_digits(truth):
    krylov = lanczos_in_half_precision(lambda vector: truth.matrix @ vector, start(truth), STEPS)
    largest = leading(krylov, 1).values[0].abs()
    assert float(largest) == pytest.approx(truth.scale, rel=5e-3)
    assert float(largest) != pytest.approx(truth.scale, rel=1e-6)


def test_a_wrong_sign_is_in_the_first_entries_alone():
    found = with_wrong_sign(lambda vector: 3 * vector, 2)(torch.tensor([1.0, 2, 4, 8]))
    assert found.tolist() == [-3, -6, 12, 24]


def test_a_control_that_is_missed_is_an_error(table):
    require_caught(table)
    missed = table.assign(caught=False)
    with pytest.raises(ResultError, match='the control "one layer\'s sign" passed the check of its residual'):
        require_caught(missed)


def test_a_network_in_single_precision_is_refused(batch):
    _, loss, images, labels = batch
    model = initialised(lambda: perceptron([8], "tanh"), seed=0).float()
    with pytest.raises(InputError, match=r"in torch.float32.*\.double\(\)"):
        measure_spectral_controls(model, loss, images.float(), labels)
