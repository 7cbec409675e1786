"""Coordinates of the directions that a Hessian can see are orthonormal, enough, and no more than parameters."""

import pytest
import torch
from curvature_cases import padded, problem, relative_error
from torch import nn

from secondorder.curvature.activation_hessian import activation_hessian
from secondorder.curvature.coordinates import LayerCoordinates, curvature_in_coordinates
from secondorder.curvature.layers import take_apart
from secondorder.curvature.parameter_vectors import assembled, direct_part, layer_matrix

# Networks whose linear layers are seen through their activations, for these numbers of samples.
MODELS = ["one layer", "one layer without bias", "tanh", "no bias", "frozen weight", "frozen bias", "residual", "gated"]
BATCHES = [1, 2, 16]
GROUPS = [pytest.param(False, id="one Hessian"), pytest.param(True, id="one for each sample")]


def parts_of(given, per_sample):
    network = take_apart(given.model, given.inputs, dense_only=True)
    return activation_hessian(network, given.loss, given.inputs, given.targets, per_sample=per_sample)


def coordinates_of(parts):
    return [LayerCoordinates.of(layer) for layer in parts.layers]


@pytest.mark.parametrize("per_sample", GROUPS)
@pytest.mark.parametrize("batch", BATCHES)
@pytest.mark.parametrize("model", MODELS)
def test_coordinates_are_those_of_orthonormal_directions(model, batch, per_sample):
    for layer in coordinates_of(parts_of(problem(model, batch=batch), per_sample)):
        matrices = layer.matrix_of(
            torch.eye(layer.size, dtype=torch.float64).expand(batch if per_sample else 1, -1, -1)
        )
        rows = matrices.flatten(-2)
        identity = torch.eye(layer.size, dtype=torch.float64).expand(len(rows), -1, -1)
        torch.testing.assert_close(rows @ rows.mT, identity, rtol=0, atol=1e-13)


@pytest.mark.parametrize("per_sample", GROUPS)
@pytest.mark.parametrize("batch", BATCHES)
@pytest.mark.parametrize("model", MODELS)
def test_a_matrix_of_coordinates_has_these_coordinates(model, batch, per_sample):
    torch.manual_seed(2)
    for layer in coordinates_of(parts_of(problem(model, batch=batch), per_sample)):
        numbers = torch.randn(batch if per_sample else 1, 2, layer.size, dtype=torch.float64)
        torch.testing.assert_close(layer.coordinates_of(layer.matrix_of(numbers)), numbers)


@pytest.mark.parametrize("batch", BATCHES)
@pytest.mark.parametrize("model", MODELS)
def test_the_mean_matrix_is_the_mean_of_the_matrices(model, batch):
    torch.manual_seed(2)
    for layer in coordinates_of(parts_of(problem(model, batch=batch), True)):
        numbers = torch.randn(batch, layer.size, dtype=torch.float64)
        torch.testing.assert_close(layer.mean_matrix(numbers), layer.matrix_of(numbers).mean(0))


@pytest.mark.parametrize("per_sample", GROUPS)
@pytest.mark.parametrize("batch", BATCHES)
@pytest.mark.parametrize("model", MODELS)
def test_there_are_no_more_coordinates_than_parameters(model, batch, per_sample):
    for layer in coordinates_of(parts_of(problem(model, batch=batch), per_sample)):
        assert 0 < layer.size <= layer.layer.size


@pytest.mark.parametrize("per_sample", GROUPS)
@pytest.mark.parametrize("batch", BATCHES)
@pytest.mark.parametrize("model", MODELS)
def test_what_is_outside_of_the_coordinates_is_not_seen(model, batch, per_sample):
    torch.manual_seed(2)
    for layer in coordinates_of(parts_of(problem(model, batch=batch), per_sample)):
        inputs, deltas = layer.activations.inputs.flatten(1, 2), layer.activations.deltas.flatten(1, 2)
        matrix = torch.randn(len(inputs), layer.layer.output_features, inputs.shape[-1], dtype=torch.float64)
        outside = matrix - layer.matrix_of(layer.coordinates_of(matrix[:, None]))[:, 0]
        assert (outside @ inputs.mT).abs().max() < 1e-13
        if layer.activations.coupled:
            assert (outside.mT @ deltas.mT).abs().max() < 1e-13


@pytest.mark.parametrize("sum_samples", [False, True])
@pytest.mark.parametrize("per_sample", GROUPS)
@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("model", [*MODELS, "layer called twice", "recurrent"])
def test_pulled_back_numbers_are_the_coordinates_of_the_matrix_of_their_definition(
    model, batch, per_sample, sum_samples
):
    torch.manual_seed(2)
    for layer in coordinates_of(parts_of(problem(model, batch=batch), per_sample)):
        inputs, deltas = layer.activations.inputs, layer.activations.deltas
        groups, samples, uses = inputs.shape[:3]
        u = torch.randn(groups, samples, 2, uses, layer.layer.output_features, dtype=torch.float64)
        v = torch.randn(groups, samples, 2, uses, layer.layer.input_features, dtype=torch.float64)
        matrix = torch.einsum("gsrma,gsmk->gsrak", u, inputs)
        if layer.activations.coupled:
            matrix[..., : v.shape[-1]] += torch.einsum("gsma,gsrmk->gsrak", deltas, v)
        if sum_samples:
            matrix = matrix.sum(1, keepdim=True)
        expected = torch.stack([layer.coordinates_of(sample) for sample in matrix.unbind(1)], dim=1)
        found = layer.pulled_back(u.flatten(-2), v.flatten(-2), sum_samples=sum_samples)
        torch.testing.assert_close(found, expected.squeeze(1) if sum_samples else expected)


@pytest.mark.parametrize("model", [*MODELS, "two convolutions", "recurrent", "layer normalisation"])
def test_the_curvature_in_coordinates_is_symmetric_and_has_the_hessians_eigenvalues(model):
    given = problem(model)
    parts = parts_of(given, False)
    matrix = curvature_in_coordinates(parts, coordinates_of(parts))[0]
    torch.testing.assert_close(matrix, matrix.T, rtol=0, atol=1e-14)
    expected = torch.linalg.eigvalsh(given.hessian)
    found = torch.linalg.eigvalsh(matrix)
    assert relative_error(padded(found, len(expected)), expected) < 1e-12


def test_a_wrong_basis_has_other_eigenvalues():
    given = problem("tanh", batch=2)
    parts = parts_of(given, False)
    layers = coordinates_of(parts)
    layers[0].input_basis = layers[0].input_basis * 1.01
    found = torch.linalg.eigvalsh(curvature_in_coordinates(parts, layers)[0])
    expected = torch.linalg.eigvalsh(given.hessian)
    assert relative_error(padded(found, len(expected)), expected) > 1e-3


# Degenerate data.


def with_inputs(model, change):
    given = problem(model)
    change(given.inputs)
    return given


def zeros(inputs):
    inputs.zero_()


def equal_samples(inputs):
    inputs[1:] = inputs[0]


def one_zero(inputs):
    inputs[0] = 0


def huge_and_tiny(inputs):
    inputs[0] *= 1e6
    inputs[1] *= 1e-6


@pytest.mark.parametrize("change", [zeros, equal_samples, one_zero, huge_and_tiny])
@pytest.mark.parametrize("model", ["one layer without bias", "no bias", "tanh", "relu", "two convolutions"])
@pytest.mark.parametrize("per_sample", GROUPS)
def test_inputs_of_a_lower_rank_have_the_right_eigenvalues(model, change, per_sample):
    given = with_inputs(model, change)
    truths = [sample.hessian for sample in given.samples] if per_sample else [given.hessian]
    expected = torch.stack([torch.linalg.eigvalsh(truth) for truth in truths])
    values = given.per_sample().eigenvalues() if per_sample else given.exact().eigenvalues()[None]
    found = padded(values, expected.shape[1])
    assert float((found - expected).abs().max()) <= 1e-12 * max(1e-3, float(expected.abs().max()))


def test_dead_units_have_the_right_eigenvalues():
    given = problem("relu")
    with torch.no_grad():
        given.model[0].bias.fill_(-1e3)
    expected = torch.linalg.eigvalsh(given.hessian)
    assert relative_error(padded(given.exact().eigenvalues(), 39), expected) < 1e-12


# The parameters' vector.


@pytest.mark.parametrize("model", ["tanh", "frozen weight", "frozen bias", "unused parameters", "two convolutions"])
def test_a_vector_taken_apart_and_assembled_is_itself_where_a_layer_is(model):
    given = problem(model)
    network = take_apart(given.model, given.inputs)
    torch.manual_seed(2)
    vector = torch.randn(2, network.parameter_count, dtype=torch.float64)
    matrices = [layer_matrix(vector, layer) for layer in network.activation_layers]
    again = assembled(network, matrices, direct_part(vector, network.direct_layers), vector)
    used = torch.zeros(network.parameter_count, dtype=torch.bool)
    for layer in network.layers:
        for start, stop in layer.positions:
            used[start:stop] = True
    assert torch.equal(again, vector * used)
    assert bool(used.all()) is (model != "unused parameters")


# Which coordinates a layer is seen in.


@pytest.mark.parametrize(
    ("model", "coordinates"),
    [
        ("tanh", ["activation"] * 3),
        ("recurrent", ["direct", "direct", "activation"]),
        ("two convolutions", ["direct", "direct", "activation"]),
        ("prelu", ["activation", "direct", "activation", "direct", "activation"]),
    ],
)
def test_a_layer_is_seen_in_the_coordinates_that_are_fewer(model, coordinates):
    given = problem(model)
    assert [layer.coordinates for layer in take_apart(given.model, given.inputs).layers] == coordinates


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("relu", True),
        ("leaky relu", True),
        ("prelu", True),
        ("identity", True),
        ("max pooling", False),
        ("batch normalisation in evaluation", False),
        ("tanh", False),
        ("gated", False),
        ("attention", False),
    ],
)
def test_piecewise_linear_networks_are_known(model, expected):
    given = problem(model)
    assert take_apart(given.model, given.inputs).piecewise_linear is expected


class Generated(nn.Module):
    """A linear map whose weight another layer computes: linear in its input, and yet not piecewise linear."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 12)

    def forward(self, inputs):
        return nn.functional.linear(inputs, self.layer(inputs)[0].view(3, 4))


def test_a_product_of_two_computed_tensors_is_not_piecewise_linear():
    given = problem(Generated, batch=1)
    assert not take_apart(given.model, given.inputs).piecewise_linear
