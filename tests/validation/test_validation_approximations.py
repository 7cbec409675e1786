"""The tables of a comparison: a row for every method, certificates by other products, and costs."""

import dataclasses
import math

import numpy as np
import pandas as pd
import pytest
import torch
from approximation_cases import JUDGEMENT, METHODS, SIZE, batch, dense_hessian_of, network
from torch import nn

from secondorder.errors import CapabilityError, ResultError
from secondorder.validation.approximation_methods import CERTIFIED, Estimate, Method
from secondorder.validation.approximations import compare_approximations
from secondorder.validation.trained import Probe, TrainedNetwork
from secondorder.validation.truth import MEASURES

NAMES = {"problem": "tiny", "run": "sgd", "seed": 0, "share": 0.0, "spent": 0.0}
REASON = "there is a layer that this cannot treat"
CERTAIN = ["exact", "Lanczos 23", "ARPACK, R-operator", "ARPACK, complex step", "ARPACK, curvlinops"]


class Loss:
    """A problem of which the loss alone is asked for."""

    loss = staticmethod(nn.functional.cross_entropy)


def refuse(_batch):
    raise CapabilityError(REASON)


CHOSEN = {**METHODS, "refuses": Method("refuses", "structured", refuse)}


def compared(methods=CHOSEN, networks=1, probes=1):
    case = batch()
    given = [TrainedNetwork({**NAMES, "seed": seed}, network(), Loss()) for seed in range(networks)]
    samples = [Probe("batch", index, case.inputs, case.targets) for index in range(probes)]
    return compare_approximations(given, samples, list(methods.values()), JUDGEMENT)


@pytest.fixture(scope="module")
def found():
    return compared()


@pytest.fixture(scope="module")
def rows(found):
    return dict(zip(CHOSEN, found.measures.to_dict("records"), strict=True))


def test_every_method_has_a_row_with_the_names_of_network_and_batch(found):
    table = found.measures
    assert table["method"].tolist() == [method.name for method in CHOSEN.values()]
    assert (table[list(NAMES)] == pd.Series(NAMES)).all(axis=None)
    assert table[["sample", "samples", "parameters"]].drop_duplicates().to_numpy().tolist() == [[0, 6, SIZE]]
    assert set(MEASURES) <= set(table.columns)


def test_rank_is_that_of_the_dense_hessian(found):
    assert set(found.measures["rank"]) == {np.linalg.matrix_rank(dense_hessian_of(batch()))}


@pytest.mark.parametrize("name", CERTAIN)
def test_exact_and_converged_pairs_are_certified(name, rows):
    row = rows[name]
    assert row["converged"]
    assert row["certified"]
    for name in ("residual", "orthogonality", "leading_error", "largest_error", "negative_error"):
        assert row[name] <= 1e-12, name


@pytest.mark.parametrize("name", ["power iteration 4", "Lanczos 4"])
def test_iteration_with_too_few_steps_is_not_certified(name, rows):
    assert not rows[name]["converged"]
    assert not rows[name]["certified"]
    assert rows[name]["residual"] > 1e-6


@pytest.mark.parametrize("name", ["K-FAC", "diagonal", "Hutchinson trace 3", "refuses"])
def test_what_claims_no_pairs_has_no_certificate(name, rows):
    assert not rows[name]["certified"]
    assert math.isnan(rows[name]["residual"])


def test_refusal_is_a_row_with_its_reason(rows):
    row = rows["refuses"]
    assert row["refusal"] == REASON
    assert not row["converged"]
    assert all(math.isnan(row[name]) for name in (*MEASURES, "numbers"))
    assert [name for name, each in rows.items() if each["refusal"]] == ["refuses"]


def test_wrong_pairs_are_not_certified():
    def turned(given):
        right = METHODS["exact"].estimate(given)
        pairs = dataclasses.replace(right.claimed, vectors=right.claimed.vectors.flip(0))
        return dataclasses.replace(right, claimed=pairs)

    (row,) = compared({"turned": Method("turned", "exact", turned)}).measures.to_dict("records")
    assert not row["certified"]
    assert row["residual"] > 0.1


def test_comparison_repeats_bit_for_bit(found):
    names = ["ARPACK, R-operator", "Lanczos quadrature 3", "Fisher, sampled 2", "EKFAC"]
    methods = {name: METHODS[name] for name in names}
    again, chosen = compared(methods), [method.name for method in methods.values()]
    for table in ("measures", "eigenvalues", "densities"):
        before = getattr(found, table)
        before = before[before["method"].isin(chosen)].reset_index(drop=True)
        pd.testing.assert_frame_equal(
            getattr(again, table).sort_values("method", kind="stable", ignore_index=True),
            before.sort_values("method", kind="stable", ignore_index=True),
            check_exact=True,
        )


def test_eigenvalues_are_both_ends_of_the_dense_hessian(found):
    values = np.linalg.eigvalsh(dense_hessian_of(batch()))
    rows = found.eigenvalues.query("method == 'exact'")
    for end, expected in (("largest", values[::-1]), ("most negative", values)):
        pairs = rows[rows["end"] == end]
        assert pairs["index"].tolist() == [0, 1, 2]
        np.testing.assert_allclose(pairs["exact"], expected[:3], atol=1e-14)
        np.testing.assert_array_equal(pairs["approximate"], pairs["exact"])


def test_densities_share_all_eigenvalues(found):
    shares = found.densities.groupby(["method", "effort"], dropna=False)["weight"].sum()
    np.testing.assert_allclose(shares, 1, atol=1e-12)
    assert (found.densities["low"] < found.densities["high"]).all()


def test_bins_hold_the_eigenvalues_between_their_edges(found):
    values = np.linalg.eigvalsh(dense_hessian_of(batch()))
    # A backward pass knows an eigenvalue of 0 to rounding, the closed form as 0.
    values[np.abs(values) < 1e-14] = 0
    for row in found.densities.query("method == 'exact'").itertuples():
        assert row.weight == pytest.approx(np.mean((values > row.low) & (values <= row.high)))


def test_costs_are_relative_to_the_gradient(rows):
    equivalents = {name: row["gradient_equivalents"] for name, row in rows.items()}
    assert equivalents["Lanczos 23"] > equivalents["Lanczos 4"] > 4
    assert equivalents["no curvature"] == 0
    assert math.isnan(equivalents["refuses"])
    assert rows["diagonal"]["numbers"] == SIZE


def test_cost_of_products_is_counted_once_and_that_of_each_hessian_is_its_number_of_products():
    def spend(given):
        spent = 2 + given.seed % 5
        for _ in range(spent):
            given.products()(torch.ones(SIZE, dtype=torch.float64))
        return Estimate(products=spent)

    rows = compared({"spends": Method("spends", "iterative", spend)}, networks=4).measures
    assert len(set(rows["products"])) > 1
    each = rows["gradient_equivalents"] / rows["products"]
    np.testing.assert_allclose(each, each.iloc[0])


def test_every_row_has_its_seconds_and_memory(found):
    assert len(found.timing) == len(found.measures)
    assert (found.timing["seconds"] > 0).all()
    assert (found.timing["memory_bytes"] >= 0).all()
    assert not {"seconds", "memory_bytes"} & set(found.measures)


def test_networks_and_batches_are_told_apart():
    table = compared({"exact": METHODS["exact"]}, networks=2, probes=2).measures
    assert table[["seed", "sample"]].to_numpy().tolist() == [[0, 0], [0, 1], [1, 0], [1, 1]]


def test_truth_has_errors_of_its_own(rows):
    for name in ("truth_residual", "truth_error"):
        assert {row[name] <= CERTIFIED for row in rows.values()} == {True}, name


def test_random_methods_draw_anew_for_every_hessian():
    (first, second) = compared({"trace": METHODS["Hutchinson trace 3"]}, networks=2).measures["trace_error"]
    assert first != second


def test_claimed_eigenvalues_have_their_own_residual(found):
    rows = found.eigenvalues
    exact = rows[rows["method"] == "exact"]
    assert exact[["claimed", "certified"]].all(axis=None)
    few = rows[(rows["method"] == "Lanczos") & (rows["effort"] == 4)]
    # Four pairs are too few for three at either end.
    assert few["claimed"].sum() == 4
    assert few["claimed"].tolist() == few["approximate"].notna().tolist()
    assert not few["certified"].any()
    assert rows.loc[rows["method"] == "K-FAC", "residual"].isna().all()


def test_no_network_is_an_error():
    with pytest.raises(ResultError, match="no run that is followed left a network"):
        compared({"exact": METHODS["exact"]}, networks=0)
