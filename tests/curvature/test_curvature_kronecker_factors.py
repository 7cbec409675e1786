"""Kronecker factors against dense Gauss-Newton matrices in float64 where they are exact, and against curvlinops."""

from functools import partial

import pytest
import torch
from curvature_cases import Elman
from torch import nn
from torch.autograd.functional import hessian
from torch.nn import functional

from secondorder.curvature.kronecker_factors import kronecker_layers, layer_statistics, recorded_calls
from secondorder.curvature.kronecker_inverses import (
    KroneckerEigenbasis,
    KroneckerInverse,
    damped_inverse,
    trace_ratio,
)
from secondorder.curvature.output_cotangents import output_cotangents
from secondorder.errors import CapabilityError

SAMPLES, CLASSES = 6, 3
EXACT = {"rtol": 1e-10, "atol": 1e-12}


class Positions(nn.Module):
    """One layer on every position of a sequence, one call per position."""

    def __init__(self, layer):
        super().__init__()
        self.layer = layer

    def forward(self, inputs):
        return torch.stack([self.layer(position) for position in inputs.unbind(1)], dim=1)


class Pooled(nn.Module):
    """A layer on every position, and the mean over positions."""

    def __init__(self, layer):
        super().__init__()
        self.layer = layer

    def forward(self, inputs):
        return self.layer(inputs).mean(1)


def perceptron():
    return nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, CLASSES))


def convolutional():
    layers = nn.Conv2d(2, 3, (2, 3), padding=(1, 0), stride=(1, 2), dilation=(2, 1)), nn.ReLU(), nn.Conv2d(3, 2, 2)
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(4, CLASSES, bias=False))


def linear_chain():
    return nn.Sequential(nn.Linear(4, 5), nn.Linear(5, 3, bias=False), nn.Linear(3, CLASSES))


def data(*shape):
    generator = torch.Generator().manual_seed(1)
    return torch.randn(SAMPLES, *shape, generator=generator).double()


def made(network):
    torch.manual_seed(0)
    return network().double()


def labels():
    return torch.arange(SAMPLES) % CLASSES


def statistics_of(model, loss, inputs, targets, fisher="type2"):
    layers = kronecker_layers(model)
    with recorded_calls(layers) as calls:
        outputs = model(inputs)
    return layer_statistics(layers, calls, outputs, output_cotangents(fisher, loss, outputs, targets))


def dense_gauss_newton(model, loss, inputs, targets):
    """Return the Gauss-Newton matrix of the weights and biases of each layer, in the order of G ⊗ A."""
    outputs = model(inputs)
    curvature = hessian(lambda flat: loss(flat.reshape(outputs.shape), targets), outputs.detach().flatten())
    parameters = dict(model.named_parameters())
    rows = [torch.autograd.grad(output, parameters.values(), retain_graph=True) for output in outputs.flatten()]
    jacobians = dict(zip(parameters, map(torch.stack, zip(*rows, strict=True)), strict=True))
    blocks = {}
    for name, layer in kronecker_layers(model).items():
        joint = jacobians[f"{name}.weight"].reshape(len(curvature), len(layer.weight), -1)
        if layer.bias is not None:
            joint = torch.cat([joint, jacobians[f"{name}.bias"][..., None]], dim=2)
        columns = joint.flatten(1)
        blocks[name] = columns.T @ curvature @ columns
    return blocks


def kronecker(statistics, sharing):
    return torch.kron(statistics.output_factor(sharing), statistics.input_factor(sharing))


def in_basis(basis, diagonal):
    vectors = torch.kron(basis.output_basis, basis.input_basis)
    return vectors @ torch.diag(diagonal.flatten()) @ vectors.T


EXACT_CASES = [
    pytest.param(linear_chain, (4,), (CLASSES,), "expand", id="deep linear"),
    pytest.param(lambda: nn.Sequential(nn.Linear(4, 5), nn.Linear(5, 3)), (7, 4), (7, 3), "expand", id="positions"),
    pytest.param(lambda: nn.Sequential(Positions(nn.Linear(4, 3))), (7, 4), (7, 3), "expand", id="several calls"),
    pytest.param(lambda: nn.Sequential(Pooled(nn.Linear(4, 3))), (7, 4), (3,), "reduce", id="mean over positions"),
    pytest.param(
        lambda: nn.Sequential(nn.Conv2d(2, 3, 2, padding="same", padding_mode="circular")),
        (2, 3, 4), (3, 3, 4), "expand", id="padded around",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("network", "shape", "target_shape", "sharing"), EXACT_CASES)
def test_the_factors_are_exact_where_k_fac_is(network, shape, target_shape, sharing):
    model, inputs, targets = made(network), data(*shape), data(*target_shape)
    truth = dense_gauss_newton(model, functional.mse_loss, inputs, targets)
    found = statistics_of(model, functional.mse_loss, inputs, targets)
    assert found.keys() == truth.keys()
    for name, each in found.items():
        torch.testing.assert_close(kronecker(each, sharing), truth[name], **EXACT)


FAULTS = {
    "transposed": lambda each: torch.kron(each.input_factor("expand"), each.output_factor("expand")),
    "a sum for a mean": lambda each: SAMPLES * kronecker(each, "expand"),
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_the_comparison_sees_a_fault(fault):
    model, inputs, targets = made(linear_chain), data(4), data(CLASSES)
    truth = dense_gauss_newton(model, functional.mse_loss, inputs, targets)["0"]
    found = statistics_of(model, functional.mse_loss, inputs, targets)["0"]
    assert torch.linalg.norm(fault(found) - truth) > 0.1 * torch.linalg.norm(truth)


@pytest.mark.parametrize("sharing", ["expand", "reduce"])
@pytest.mark.parametrize(
    ("network", "shape"),
    [pytest.param(perceptron, (4,), id="perceptron"), pytest.param(convolutional, (2, 3, 5), id="convolutions")],
)
def test_the_factors_are_those_of_curvlinops(network, shape, sharing):
    from curvlinops import KFACLinearOperator

    model, inputs, targets = made(network), data(*shape), labels()
    batches = [(inputs, targets)]
    theirs = KFACLinearOperator(
        model,
        nn.CrossEntropyLoss(),
        list(model.parameters()),
        batches,
        fisher_type="type-2",
        kfac_approx=sharing,
        separate_weight_and_bias=False,
        check_deterministic=False,
    )
    vectors = [torch.randn_like(parameter) for parameter in model.parameters()]
    expected = dict(zip((name for name, _ in model.named_parameters()), theirs @ vectors, strict=True))
    given = dict(zip(expected, vectors, strict=True))
    for name, each in statistics_of(model, functional.cross_entropy, inputs, targets).items():
        joint = given[f"{name}.weight"].flatten(1)
        image = expected[f"{name}.weight"].flatten(1)
        if f"{name}.bias" in given:
            joint = torch.cat([joint, given[f"{name}.bias"][:, None]], 1)
            image = torch.cat([image, expected[f"{name}.bias"][:, None]], 1)
        torch.testing.assert_close(each.output_factor(sharing) @ joint @ each.input_factor(sharing), image, **EXACT)


@pytest.mark.parametrize(
    ("network", "shape"),
    [
        pytest.param(perceptron, (4,), id="perceptron"),
        pytest.param(convolutional, (2, 3, 5), id="convolutions"),
        pytest.param(lambda: nn.Sequential(Elman(2, 4), nn.Linear(4, CLASSES)), (5, 2), id="recurrent"),
    ],
)
def test_ekfac_has_the_diagonal_of_the_dense_matrix_and_a_smaller_error_than_k_fac(network, shape):
    model, inputs, targets = made(network), data(*shape), labels()
    truth = dense_gauss_newton(model, functional.cross_entropy, inputs, targets)
    for name, each in statistics_of(model, functional.cross_entropy, inputs, targets).items():
        block = KroneckerEigenbasis.of(each, "expand", 1.0)
        vectors = torch.kron(block.output_basis, block.input_basis)
        diagonal = (vectors.T @ truth[name] @ vectors).diagonal().reshape(block.moments.shape)
        torch.testing.assert_close(block.moments, diagonal, **EXACT)
        error = torch.linalg.norm(in_basis(block, block.moments) - truth[name])
        assert error < torch.linalg.norm(kronecker(each, "expand") - truth[name])


def test_moments_go_along_when_the_basis_changes():
    model = made(perceptron)
    first, second = (
        statistics_of(model, functional.cross_entropy, data(4) + shift, labels())["0"] for shift in (0.0, 1.0)
    )
    block = KroneckerEigenbasis.of(first, "expand", 1.0)
    before = in_basis(block, block.moments)
    block.refresh(1.0)
    torch.testing.assert_close(in_basis(block, block.moments), before, **EXACT)
    block.update(second, "expand", 0.5)
    before = in_basis(block, block.moments)
    block.refresh(1.0)
    vectors = torch.kron(block.output_basis, block.input_basis)
    assert not torch.allclose(in_basis(block, block.moments), before)
    torch.testing.assert_close(block.moments.flatten(), (vectors.T @ before @ vectors).diagonal(), **EXACT)


@pytest.mark.parametrize("block", [KroneckerInverse, KroneckerEigenbasis])
def test_a_block_solves_with_its_damped_matrix(block):
    each = statistics_of(made(perceptron), functional.cross_entropy, data(4), labels())["0"]
    found, damping = block.of(each, "expand", 0.1), 0.1
    gradient = data(5)[:5, :5].clone()
    if block is KroneckerInverse:
        ratio = trace_ratio(found.input_factor, found.output_factor)
        inputs = found.input_factor + ratio * damping**0.5 * torch.eye(5).double()
        outputs = found.output_factor + damping**0.5 / ratio * torch.eye(5).double()
        matrix = torch.kron(outputs, inputs)
    else:
        matrix = in_basis(found, found.moments) + damping * torch.eye(25).double()
    expected = torch.linalg.solve(matrix, gradient.flatten()).reshape(5, 5)
    torch.testing.assert_close(found.solve(gradient, damping), expected, **EXACT)


def test_pi_balances_the_mean_eigenvalues():
    # Mean eigenvalues of 8 and 2: π = √(8 / 2).
    assert float(trace_ratio(torch.diag(torch.tensor([6.0, 10.0])), 2 * torch.eye(3))) == 2
    assert float(trace_ratio(torch.eye(2), torch.zeros(3, 3))) == 1


def test_an_inverse_that_rounding_spoils_is_computed_in_double_precision():
    # Below the last digit of the entries in single precision, so that nothing of it is left of the second pivot.
    matrix, damping = torch.full((2, 2), 2.0**24), torch.tensor(0.5)
    expected = torch.linalg.inv(matrix.double() + 0.5 * torch.eye(2).double())
    torch.testing.assert_close(damped_inverse(matrix, damping).double(), expected, rtol=1e-6, atol=0)
    assert damped_inverse(torch.full((2, 2), torch.nan), damping).isnan().all()


# Cotangents of the outputs


def binary():
    return (data(CLASSES) > 0).double()


def over_pixels(outputs, targets):
    return functional.binary_cross_entropy_with_logits(outputs, targets, reduction="sum") / len(outputs)


def pairwise(outputs, targets):
    return ((outputs - targets).sum(1).square() + (outputs - targets).square().sum(1)).mean()


LOSSES = {
    "cross-entropy": (functional.cross_entropy, labels),
    "smoothed cross-entropy": (partial(functional.cross_entropy, label_smoothing=0.1), labels),
    "squared errors": (functional.mse_loss, lambda: data(CLASSES)),
    "binary cross-entropy": (functional.binary_cross_entropy_with_logits, binary),
    "a sum over pixels": (over_pixels, binary),
    "coupled outputs": (pairwise, lambda: data(CLASSES)),
}
EVERY_LOSS = pytest.mark.parametrize(("loss", "targets"), LOSSES.values(), ids=LOSSES)


def output_curvature(loss, outputs, targets):
    """Return ∇²_z L of each sample, shape [N, C, C]."""
    dense = hessian(lambda flat: loss(flat.reshape(outputs.shape), targets), outputs.flatten())
    blocks = dense.reshape(SAMPLES, CLASSES, SAMPLES, CLASSES)
    return torch.stack([blocks[n, :, n] for n in range(SAMPLES)])


@EVERY_LOSS
def test_all_cotangents_have_the_second_moment_of_the_loss(loss, targets):
    outputs = 2 * data(CLASSES)
    columns = torch.stack(output_cotangents("type2", loss, outputs, targets()), dim=2)
    torch.testing.assert_close(columns @ columns.mT, output_curvature(loss, outputs, targets()), **EXACT)


@EVERY_LOSS
def test_drawn_cotangents_have_it_in_the_mean(loss, targets):
    torch.manual_seed(0)
    outputs, draws = 2 * data(CLASSES), 2000
    # The mean over many times the samples has so many times less curvature by each.
    (drawn,) = output_cotangents("mc", loss, outputs.repeat(draws, 1), torch.cat([targets()] * draws))
    truth = output_curvature(loss, outputs, targets())
    drawn = drawn.reshape(draws, SAMPLES, CLASSES)
    moments = torch.einsum("dnc,dne->nce", drawn, drawn)
    # Signs deviate by less than their own square; five standard deviations of the mean.
    assert (moments - truth).abs().max() < 5 * truth.abs().max() * 2 / draws**0.5


def test_empirical_cotangents_have_the_second_moment_of_the_samples_own_gradients():
    model, inputs, targets = made(linear_chain), data(4), labels()
    found = statistics_of(model, functional.cross_entropy, inputs, targets, "empirical")["0"]
    block = KroneckerEigenbasis.of(found, "expand", 1.0)
    own = []
    for one, label in zip(inputs.split(1), targets.split(1), strict=True):
        gradients = torch.autograd.grad(functional.cross_entropy(model(one), label), list(model[0].parameters()))
        own.append(torch.cat([gradients[0], gradients[1][:, None]], 1))
    along = block.output_basis.T @ torch.stack(own) @ block.input_basis
    torch.testing.assert_close(block.moments, along.square().mean(0), **EXACT)


# What is recorded


def test_an_activation_in_place_changes_nothing():
    found = []
    for in_place in (False, True):
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(4, 5), nn.ReLU(inplace=in_place), nn.Linear(5, CLASSES)).double()
        found.append(statistics_of(model, functional.cross_entropy, data(4), labels())["0"].output_factor("expand"))
    assert torch.equal(*found)


class Tied(nn.Module):
    """Two layers with one weight."""

    def __init__(self):
        super().__init__()
        self.there, self.back, self.own = nn.Linear(3, 3), nn.Linear(3, 3), nn.Linear(3, 3)
        self.back.weight = self.there.weight


def frozen_bias():
    model = perceptron()
    model[0].bias.requires_grad_(False)
    return model


def normalised_weight():
    model = perceptron()
    nn.utils.parametrizations.weight_norm(model[0])
    return model


@pytest.mark.parametrize(
    ("network", "names"),
    [
        pytest.param(perceptron, ["0", "2"], id="perceptron"),
        pytest.param(Tied, ["own"], id="shared weight"),
        pytest.param(frozen_bias, ["2"], id="frozen bias"),
        pytest.param(normalised_weight, ["2"], id="weight computed from parameters"),
        pytest.param(lambda: nn.Sequential(nn.Conv2d(4, 4, 2, groups=2), nn.Conv2d(4, 2, 2)), ["1"], id="groups"),
        pytest.param(lambda: nn.Sequential(nn.Embedding(4, 3), nn.BatchNorm1d(3), nn.LSTM(3, 2)), [], id="others"),
    ],
)
def test_only_layers_with_factors_are_found(network, names):
    assert list(kronecker_layers(network())) == names


def test_an_input_without_the_batch_in_front_is_refused_by_name():
    model = nn.Sequential(nn.Flatten(0, 1), nn.Linear(4, CLASSES), nn.Unflatten(0, (SAMPLES, 2)))
    with pytest.raises(CapabilityError, match=r"module '1': its input has shape \(12, 4\).* batch of 6 samples"):
        statistics_of(model.double(), functional.mse_loss, data(2, 4), data(2, CLASSES))
