"""Spectra and directions along training agree with dense Hessians of the same networks."""

import numpy as np
import pytest
import torch

from secondorder.curvature import ExactHessian
from secondorder.validation.dense import dense_hessian
from secondorder.validation.directions import compare_directions, uphill_share
from secondorder.validation.spectrum import track_spectrum
from secondorder.validation.trained import networks_of, probes


@pytest.fixture
def chosen(dataset):
    return probes(dataset, samples=1, batches=1, batch_size=2)


@pytest.fixture
def networks(trained):
    return list(networks_of(trained()))


def truth_of(network, probe):
    return dense_hessian(network.model.double(), network.loss, probe.inputs, probe.targets)


# Spectra


def test_spectrum_is_that_of_the_dense_matrix(networks, chosen):
    table = track_spectrum(networks[1:2], chosen)
    for probe in chosen:
        values = table[table["kind"] == probe.kind]["eigenvalue"]
        expected = truth_of(networks[1], probe)
        padded = np.sort(np.concatenate([values, np.zeros(len(expected.eigenvalues) - len(values))]))
        np.testing.assert_allclose(padded, expected.eigenvalues, atol=1e-12 * expected.scale)


def test_spectrum_says_what_it_is_of(networks, chosen):
    table = track_spectrum(networks, chosen)
    assert set(table["run"]) == {"sgd"}
    assert set(table["parameters"]) == {785 * 2 + 3 * 3 + 4 * 10}
    assert sorted(table["share"].unique()) == [0, 0.5, 1]
    for _, rows in table.groupby(["share", "kind", "sample"]):
        assert rows["index"].tolist() == list(range(rows["rank"].iloc[0]))
        assert rows["eigenvalue"].is_monotonic_increasing
    assert table["certificate"].max() < 1e-10


# Directions


def test_slopes_are_those_of_the_dense_matrix(networks, chosen):
    table = compare_directions(networks[1:2], chosen, [0.01, 0.5])
    truths = {probe.kind: truth_of(networks[1], probe) for probe in chosen}
    for _, row in table.iterrows():
        truth = truths[row["kind"]]
        expected = float(truth.gradient @ truth.direction(row["damping"], row["adjustment"], 0.0))
        condition = truth.condition(row["damping"], row["adjustment"], 0.0)
        assert row["slope"] == pytest.approx(expected, rel=1e-12 * condition + 1e-9)
        assert row["negative"] == int((truth.eigenvalues < -1e-12 * truth.scale).sum())
        assert (row["smallest"], row["largest"]) == pytest.approx(
            (float(truth.eigenvalues.min()), float(truth.eigenvalues.max()))
        )


def test_direction_ascends_where_its_slope_is_positive(networks, chosen):
    table = compare_directions(networks, chosen, [0.0, 0.01])
    assert (table["ascends"] == (table["slope"] > 0)).all()
    assert (np.sign(table["cosine"]) == np.sign(table["slope"])).all()
    assert table["cosine"].abs().max() <= 1 + 1e-12
    assert len(table) == 3 * 2 * 4 * 2


def test_adjusted_directions_never_ascend(networks, chosen):
    table = compare_directions(networks, chosen, [0.0, 0.001, 0.1])
    assert not table[table["adjustment"] != "newton"]["ascends"].any()


class Saddle(torch.nn.Module):
    """A model of two parameters whose loss is (3 a² − b²)/2 with a gradient of choice."""

    def __init__(self, first, second):
        super().__init__()
        self.layer = torch.nn.Linear(2, 1, bias=False, dtype=torch.float64)
        with torch.no_grad():
            self.layer.weight.copy_(torch.tensor([[first, second]]))

    def forward(self, inputs):
        return self.layer(inputs)


def saddle_loss(outputs, targets):
    return (targets * outputs.square()).sum() / 2


@pytest.mark.parametrize(("first", "second", "ascends"), [(2.0, 0.5, False), (0.1, 2.0, True)])
def test_plain_newton_ascends_on_a_saddle_where_negative_curvature_outweighs(first, second, ascends):
    exact = ExactHessian(
        Saddle(first, second),
        saddle_loss,
        torch.eye(2, dtype=torch.float64),
        torch.tensor([[3.0], [-1.0]], dtype=torch.float64),
    )
    positive, negative = 3 * first**2, second**2
    assert uphill_share(exact) == pytest.approx(negative / (positive + negative))
    assert (float(exact.gradient @ exact.newton_direction(0.0)) > 0) is ascends
    assert (uphill_share(exact) > 0.5) is ascends
