"""Problems have the sizes, shapes and settings that their documentation states."""

import pytest
import torch
from torch import nn

from secondorder import problems
from secondorder.data.augmentation import crop_and_flip
from secondorder.data.datasets import DATASETS
from secondorder.errors import ConfigurationError

SIZES = {"mnist_mlp": 109_386, "mnist_lenet5": 61_706, "cifar10_3c3d": 895_210}


def build(name, **settings):
    module = problems.load(name)
    return module.build(module.Settings(**settings))


def test_every_problem_has_a_known_size():
    assert set(problems.available()) >= set(SIZES)


@pytest.mark.parametrize(("name", "size"), SIZES.items())
def test_the_number_of_parameters(name, size):
    assert sum(parameter.numel() for parameter in build(name).network().parameters()) == size


@pytest.mark.parametrize("name", problems.available())
def test_declared_datasets_exist(name):
    declared = problems.load(name).DATASETS
    assert declared
    assert set(declared) <= set(DATASETS)


@pytest.mark.parametrize(
    ("name", "dataset"), [(name, dataset) for name in problems.available() for dataset in problems.load(name).DATASETS]
)
def test_a_batch_of_each_dataset_gives_one_output_per_class(name, dataset):
    definition = DATASETS[dataset]
    outputs = build(name).network()(torch.randn(3, *definition.image_shape))
    assert outputs.shape == (3, len(definition.class_names))


@pytest.mark.parametrize("name", problems.available())
def test_the_loss_is_the_mean_over_the_batch(name):
    outputs, targets = torch.randn(6, 10, dtype=torch.float64), torch.tensor([0, 9, 3, 3, 1, 7])
    loss = build(name).loss
    each = [loss(outputs[i : i + 1], targets[i : i + 1]) for i in range(6)]
    torch.testing.assert_close(loss(outputs, targets), torch.stack(each).mean())


@pytest.mark.parametrize("name", SIZES)
def test_the_loss_is_cross_entropy(name):
    outputs = torch.log(torch.tensor([[0.1] * 10, [0.05] * 9 + [0.55]], dtype=torch.float64))
    expected = -(torch.tensor(0.1).double().log() + torch.tensor(0.55).double().log()) / 2
    torch.testing.assert_close(build(name).loss(outputs, torch.tensor([4, 9])), expected, rtol=1e-7, atol=0)


@pytest.mark.parametrize("name", problems.available())
def test_the_initialisation_is_drawn_from_the_global_generator(name):
    network = build(name).network
    drawn = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        drawn.append(nn.utils.parameters_to_vector(network().parameters()))
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])


def test_3c3d_shrinks_its_maps_as_same_padding_does():
    sides = []
    signal = torch.randn(1, 3, 32, 32)
    for layer in build("cifar10_3c3d").network():
        signal = layer(signal)
        if isinstance(layer, nn.Conv2d | nn.MaxPool2d):
            sides.append(tuple(signal.shape[2:]))
    assert sides == [(side, side) for side in (28, 14, 12, 6, 6, 3)]


def test_pools_of_3c3d_hang_over_the_right_and_lower_edge():
    pool = next(layer for layer in build("cifar10_3c3d").network() if isinstance(layer, nn.MaxPool2d))
    # Windows start at 0 and 2; centred padding, which gives maps of the same size, would start them at -1 and 1.
    assert pool(torch.arange(16.0).view(1, 4, 4)).tolist() == [[[10, 11], [14, 15]]]


def test_lenet5_shrinks_its_maps_as_on_32_pixels():
    sides = []
    signal = torch.randn(1, 1, 28, 28)
    for layer in build("mnist_lenet5").network():
        signal = layer(signal)
        if isinstance(layer, nn.Conv2d | nn.MaxPool2d):
            sides.append(tuple(signal.shape[1:]))
    assert sides == [(6, 28, 28), (6, 14, 14), (16, 10, 10), (16, 5, 5)]


@pytest.mark.parametrize("name", ["mnist_mlp", "mnist_lenet5"])
@pytest.mark.parametrize(("activation", "kind", "other"), [("relu", nn.ReLU, nn.Tanh), ("tanh", nn.Tanh, nn.ReLU)])
def test_the_activation_is_the_one_set(name, activation, kind, other):
    layers = list(build(name, activation=activation).network())
    assert any(isinstance(layer, kind) for layer in layers)
    assert not any(isinstance(layer, other) for layer in layers)


def test_tanh_computes_what_a_hand_written_perceptron_does():
    network = build("mnist_mlp", activation="tanh").network().double()
    images = torch.randn(2, 1, 28, 28, dtype=torch.float64)
    w1, b1, w2, b2, w3, b3 = network.parameters()
    expected = ((images.reshape(2, 784) @ w1.T + b1).tanh() @ w2.T + b2).tanh() @ w3.T + b3
    torch.testing.assert_close(network(images), expected)


@pytest.mark.parametrize("name", ["mnist_mlp", "mnist_lenet5"])
def test_mnist_problems_have_neither_penalty_nor_augmentation(name):
    problem = build(name)
    assert (problem.penalty, problem.augmentation) == (0.0, None)


@pytest.mark.parametrize(
    ("settings", "penalty", "augmentation"),
    [({}, 0.002, crop_and_flip), ({"penalty": 0.0, "augment": False}, 0.0, None)],
    ids=["default", "both off"],
)
def test_3c3d_takes_its_penalty_and_augmentation_from_its_settings(settings, penalty, augmentation):
    problem = build("cifar10_3c3d", **settings)
    assert (problem.penalty, problem.augmentation) == (penalty, augmentation)


def test_the_networks_are_trained_with_a_gradient_in_every_parameter():
    for name in problems.available():
        problem = build(name)
        model = problem.network()
        shape = DATASETS[problems.load(name).DATASETS[0]].image_shape
        problem.loss(model(torch.randn(8, *shape)), torch.arange(8)).backward()
        assert all(parameter.grad is not None and parameter.grad.abs().max() > 0 for parameter in model.parameters())


@pytest.mark.parametrize("name", ["mnist", "problem", "activations", ""])
def test_an_unknown_problem_is_refused_with_the_known_ones(name):
    with pytest.raises(ConfigurationError, match="mnist_lenet5, mnist_mlp"):
        problems.load(name)


@pytest.mark.parametrize(
    ("hidden", "size"), [("16", 12_730), ("128-64", 109_386), ("8-16-4", 784 * 8 + 8 + 144 + 68 + 50)]
)
def test_widths_of_the_perceptron(hidden, size):
    assert sum(parameter.numel() for parameter in build("mnist_mlp", hidden=hidden).network().parameters()) == size


@pytest.mark.parametrize("hidden", ["", "0", "16-", "16x8", "-4", "1.5"])
def test_widths_that_are_none_are_refused(hidden):
    with pytest.raises(ConfigurationError, match="write widths above 0"):
        build("mnist_mlp", hidden=hidden)
