"""Every method finds what its matrix says, claims no more than it has, and finds the same again."""

import dataclasses
import itertools
import math

import numpy as np
import pytest
import torch
from approximation_cases import METHODS, SETTINGS, SIZE, batch, dense_hessian_of, network, written_out
from torch import nn

from secondorder.errors import InputError
from secondorder.validation import approximation_methods as module
from secondorder.validation.approximation_methods import Estimate, Method, approximation_methods, ends, extreme_pairs

ALL = [pytest.param(method, id=name) for name, method in METHODS.items()]
EXACT_PAIRS = ["exact", "Lanczos 23", "ARPACK, R-operator", "ARPACK, complex step", "ARPACK, curvlinops"]
TOO_SHORT = ["power iteration 4", "Lanczos 4"]


@pytest.fixture(scope="module")
def case():
    return batch()


@pytest.fixture(scope="module")
def hessian(case):
    return dense_hessian_of(case)


def same(first, second):
    return torch.equal(torch.as_tensor(first).nan_to_num(), torch.as_tensor(second).nan_to_num())


@pytest.mark.parametrize("method", ALL)
def test_method_finds_the_same_again_whatever_was_drawn_before(method, case):
    first = method.estimate(case)
    torch.rand(5)
    again = method.estimate(case)
    assert same(first.trace, again.trace)
    if first.form is not None:
        assert same(first.form.spectrum().values, again.form.spectrum().values)
        np.testing.assert_array_equal(written_out(first.form), written_out(again.form))
    if first.density is not None:
        assert same(first.density.nodes, again.density.nodes)
        assert same(first.density.weights, again.density.weights)


@pytest.mark.parametrize("method", ALL)
def test_method_leaves_network_and_random_numbers_as_they_were(method, case):
    before, state = [each.detach().clone() for each in case.parameters], torch.get_rng_state()
    method.estimate(case)
    assert all(torch.equal(*pair) for pair in zip(before, case.parameters, strict=True))
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("method", ALL)
def test_trace_and_density_are_those_of_the_matrix(method, case):
    found = method.estimate(case)
    if found.form is None:
        assert math.isfinite(found.trace)
        return
    values = np.linalg.eigvalsh(written_out(found.form))
    counts = (found.density.weights * SIZE).round().to(torch.int64)
    assert found.trace == pytest.approx(values.sum(), abs=1e-12)
    np.testing.assert_allclose(torch.repeat_interleave(found.density.nodes, counts), values, atol=1e-12)


@pytest.mark.parametrize("name", EXACT_PAIRS)
def test_claimed_pairs_are_both_ends_of_the_dense_hessian(name, case, hessian):
    found = METHODS[name].estimate(case)
    values = np.linalg.eigvalsh(hessian)
    chosen = found.claimed.values.numpy()
    assert found.converged
    np.testing.assert_allclose(chosen[[0, -1]], values[[0, -1]], atol=1e-12 * abs(values).max())
    image = hessian @ found.claimed.vectors.numpy()
    assert np.abs(image - found.claimed.vectors.numpy() * chosen).max() <= 1e-12 * abs(values).max()


@pytest.mark.parametrize("name", TOO_SHORT)
def test_iteration_with_too_few_steps_says_so(name, case):
    assert not METHODS[name].estimate(case).converged


def test_estimates_of_the_trace_are_the_mean_of_their_random_vectors(case, hessian):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        signs = [torch.randint(2, (SIZE,), dtype=torch.float64).numpy() * 2 - 1 for _ in range(3)]
    expected = np.mean([each @ hessian @ each for each in signs])
    for name in ("Hutchinson trace 3", "Lanczos quadrature 3"):
        assert METHODS[name].estimate(case).trace == pytest.approx(expected, rel=1e-12)
    diagonal = np.mean([each * (hessian @ each) for each in signs], axis=0)
    entries = np.diag(written_out(METHODS["Hutchinson diagonal 3"].estimate(case).form))
    np.testing.assert_allclose(entries, diagonal, atol=1e-13)


def blocks(hessian):
    kept = np.zeros_like(hessian)
    kept[:15, :15], kept[15:, 15:] = hessian[:15, :15], hessian[15:, 15:]
    return kept


def of_rank_two(hessian):
    values, vectors = np.linalg.eigh(hessian)
    chosen = np.argsort(-np.abs(values))[:2]
    return (vectors[:, chosen] * values[chosen]) @ vectors[:, chosen].T


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        pytest.param("exact", lambda whole: whole, id="exact"),
        pytest.param("layer blocks", blocks, id="layer blocks"),
        pytest.param("diagonal", lambda whole: np.diag(np.diag(whole)), id="diagonal"),
        pytest.param("low rank 2", of_rank_two, id="low rank"),
    ],
)
def test_part_of_the_hessian_is_that_of_the_dense_one(name, expected, case, hessian):
    found = written_out(METHODS[name].estimate(case).form)
    np.testing.assert_allclose(found, expected(hessian), atol=1e-13)


def test_subsampled_hessian_is_that_of_some_of_the_samples(case):
    found = written_out(METHODS["sub-sampled Hessian 0.5"].estimate(case).form)
    differences = []
    for chosen in itertools.combinations(range(len(case.inputs)), 3):
        some = module.Batch(case.model, case.loss, case.inputs[list(chosen)], case.targets[list(chosen)])
        differences.append(np.abs(found - dense_hessian_of(some)).max())
    assert np.sum(np.array(differences) <= 1e-13) == 1


def test_subsampled_hessian_is_of_other_samples_for_another_seed(case):
    first, second = (
        written_out(METHODS["sub-sampled Hessian 0.5"].estimate(dataclasses.replace(case, seed=seed)).form)
        for seed in (0, 1)
    )
    assert np.abs(first - second).max() > 1e-6


def test_network_that_a_method_cannot_treat_is_refused_with_the_reason():
    coupled = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3), nn.Linear(3, 2)).double().train()
    found = METHODS["Fisher, empirical"].estimate(batch(coupled))
    assert found.form is None
    assert math.isnan(found.trace)
    assert not found.converged
    assert "call model.eval()" in found.refusal


@pytest.mark.parametrize("error", [RuntimeError, InputError])
def test_other_errors_are_not_refusals(error, case):
    def broken(_batch):
        raise error("out of order")

    with pytest.raises(error, match="out of order"):
        Method("broken", "exact", broken).estimate(case)


def test_there_is_a_method_for_each_effort():
    efforts = {
        "lanczos_steps": [2, 3, 4],
        "probes": [2, 5],
        "fractions": [],
        "ranks": [1],
        "draws": [],
        "histories": [],
    }
    names = [each.name for each in approximation_methods({**SETTINGS, **efforts})]
    assert [names.count(each) for each in ("Lanczos", "Hutchinson trace", "sub-sampled Hessian", "low rank")] == [
        3,
        2,
        0,
        1,
    ]


def test_gradient_and_independent_product_are_the_dense_ones(case, hessian):
    step = 1e-5
    vector = np.cos(np.arange(SIZE))
    moved = []
    for sign in (1, -1):
        other = batch(network())
        nn.utils.vector_to_parameters(
            nn.utils.parameters_to_vector(other.parameters).detach() + sign * step * torch.from_numpy(vector),
            other.parameters,
        )
        moved.append(other.gradient().numpy())
    np.testing.assert_allclose(hessian @ vector, (moved[0] - moved[1]) / (2 * step), atol=1e-8)
    np.testing.assert_allclose(case.independent_product(torch.from_numpy(vector)), hessian @ vector, atol=1e-14)


def test_extreme_pairs_are_both_ends_of_the_dense_hessian(case, hessian):
    found = extreme_pairs(case.products(), SIZE, 3, 400)
    values = np.linalg.eigvalsh(hessian)
    assert found.converged
    np.testing.assert_allclose(found.values, [*values[:3], *values[-3:]], atol=1e-12 * abs(values).max())


def test_ends_are_all_pairs_where_there_are_few(case):
    form = METHODS["low rank 2"].estimate(case).form
    assert len(ends(form, 3).values) == 2
    assert ends(form, 1).values.tolist() == sorted(form.values.tolist())


def test_nothing_is_known_of_what_was_not_found():
    found = Estimate()
    assert (found.form, found.density, found.claimed, found.refusal) == (None, None, None, "")
    assert math.isnan(found.trace)
