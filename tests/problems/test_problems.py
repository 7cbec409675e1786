"""Problems have the sizes, shapes and settings that their documentation states."""

from itertools import pairwise
from pathlib import Path

import pytest
import torch
from torch import nn

from secondorder import problems
from secondorder.configuration.loading import load_configuration
from secondorder.configuration.resolution import run_specification
from secondorder.data.augmentation import crop_and_flip
from secondorder.data.datasets import DATASETS
from secondorder.errors import CapabilityError, ConfigurationError
from secondorder.optim import exact_newton, sgd
from secondorder.training.objective import Objective
from secondorder.training.work import Work

CONFIG = Path(__file__).resolve().parents[2] / "config"


def dense(*widths):
    """Parameters of dense layers with biases."""
    return sum((before + 1) * after for before, after in pairwise(widths))


# Convolutions without biases by stage, batch normalisation with two numbers per channel, and the classifier.
RESNET20_CONVOLUTIONS = 9 * (3 * 16 + 6 * 16 * 16 + 16 * 32 + 5 * 32 * 32 + 32 * 64 + 5 * 64 * 64)
RESNET20_NORMALISATION = 2 * (7 * 16 + 6 * 32 + 6 * 64)
SIZES = {
    "mnist_mlp": dense(784, 128, 64, 10),
    "mnist_lenet5": 26 * 6 + 151 * 16 + dense(400, 120, 84, 10),
    "cifar10_3c3d": 76 * 64 + 577 * 96 + 865 * 128 + dense(1152, 512, 256, 10),
    "cifar10_resnet20": RESNET20_CONVOLUTIONS + RESNET20_NORMALISATION + dense(64, 10),
    "mnist_autoencoder": dense(784, 1000, 500, 250, 30, 250, 500, 1000, 784),
    "mnist_rnn": dense(28, 128) + 128 * 128 + dense(128, 10),
}
PUBLISHED = {"cifar10_3c3d": 895_210, "cifar10_resnet20": 269_722}
CLASSIFICATION = [name for name in SIZES if name != "mnist_autoencoder"]


def build(name, **settings):
    module = problems.load(name)
    return module.build(module.Settings(**settings))


def batch_of(name, samples, dataset=None):
    """Inputs and targets as training gives them."""
    module = problems.load(name)
    inputs = torch.rand(samples, *DATASETS[dataset or module.DATASETS[0]].image_shape)
    reconstructs = build(name).reconstructs
    return inputs, inputs.flatten(1) if reconstructs else torch.arange(samples) % 10


def test_every_problem_has_a_known_size():
    assert set(problems.available()) == set(SIZES)
    assert {name: SIZES[name] for name in PUBLISHED} == PUBLISHED


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
def test_a_batch_of_each_dataset_gives_one_output_per_class_or_pixel(name, dataset):
    inputs, targets = batch_of(name, 3, dataset)
    outputs = build(name).network()(inputs)
    assert outputs.shape == (targets.shape if build(name).reconstructs else (3, len(DATASETS[dataset].class_names)))


@pytest.mark.parametrize("name", problems.available())
def test_the_loss_is_the_mean_over_the_batch(name):
    outputs, targets = torch.randn(6, 10, dtype=torch.float64), torch.tensor([0, 9, 3, 3, 1, 7])
    loss = build(name).loss
    if build(name).reconstructs:
        targets = torch.rand(6, 10, dtype=torch.float64)
    each = [loss(outputs[i : i + 1], targets[i : i + 1]) for i in range(6)]
    torch.testing.assert_close(loss(outputs, targets), torch.stack(each).mean())


@pytest.mark.parametrize("name", CLASSIFICATION)
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
        inputs, targets = batch_of(name, 8)
        problem.loss(model(inputs), targets).backward()
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


@pytest.mark.parametrize("name", problems.available())
def test_a_step_of_gradient_descent_lowers_the_loss(name):
    torch.manual_seed(0)
    problem = build(name)
    model = problem.network()
    optimizer = sgd.build(list(model.parameters()), sgd.Settings(learning_rate=1e-4))
    objective = Objective(model, problem.loss, *batch_of(name, 8), Work(8), problem.penalty)
    before = optimizer.step(objective, 1.0).loss
    assert objective.loss() < before


def test_3c3d_of_the_paper_tier_follows_the_protocol_of_deepobs():
    configuration = load_configuration({"tier": "paper"}, CONFIG)
    run = run_specification(configuration, "cifar10_3c3d", "sgd")
    assert (run.batch_size, run.unit_batch_size, run.budget_epochs, len(run.seeds)) == (128, 128, 100, 10)
    assert (run.problem_settings["penalty"], run.problem_settings["dropout"]) == (0.002, 0.0)
    assert configuration.problems["cifar10_3c3d"].target_metric == 0.8283


def test_sides_and_channels_of_resnet20():
    signal = torch.randn(2, 3, 32, 32)
    shapes = []
    for layer in build("cifar10_resnet20").network():
        signal = layer(signal)
        if len(list(layer.children())):
            shapes.append(tuple(signal.shape[1:]))
    assert shapes == [(16, 32, 32)] * 3 + [(32, 16, 16)] * 3 + [(64, 8, 8)] * 3


def test_shortcut_of_resnet20_skips_pixels_and_adds_channels_of_zeros():
    block = build("cifar10_resnet20").network()[6].eval()
    for parameter in block.parameters():
        nn.init.zeros_(parameter)
    maps = torch.rand(2, 16, 32, 32)
    outputs = block(maps)
    assert torch.equal(outputs[:, 8:24], maps[:, :, ::2, ::2])
    assert not outputs[:, :8].any()
    assert not outputs[:, 24:].any()


@pytest.mark.parametrize("variant", ["per_sample", "layerwise", "joint_hessian", "joint_gauss_newton"])
def test_exact_methods_refuse_resnet20_because_its_samples_are_coupled(variant):
    problem = build("cifar10_resnet20", penalty=0.0)
    model = problem.network()
    optimizer = exact_newton.build(list(model.parameters()), exact_newton.Settings(variant=variant))
    objective = Objective(model, problem.loss, *batch_of("cifar10_resnet20", 4), Work(4))
    with pytest.raises(CapabilityError, match=r"module '1': batch_norm in training mode.* couples the samples"):
        optimizer.step(objective, 1.0)


def test_sparse_initialisation_gives_each_unit_15_connections():
    layers = [layer for layer in build("mnist_autoencoder", hidden="40-8").network() if isinstance(layer, nn.Linear)]
    assert [set((layer.weight != 0).sum(1).tolist()) for layer in layers] == [{15}, {15}, {8}, {15}]
    assert not any(layer.bias.any() for layer in layers)
    drawn = layers[-1].weight.detach()
    assert float(drawn[drawn != 0].std()) == pytest.approx(1, abs=0.05)


def test_autoencoder_computes_what_a_hand_written_one_does():
    problem = build("mnist_autoencoder", hidden="6-3", initialisation="torch")
    network = problem.network().double()
    images = torch.rand(2, 1, 28, 28, dtype=torch.float64)
    w1, b1, w2, b2, w3, b3, w4, b4 = network.parameters()
    code = (images.reshape(2, 784) @ w1.T + b1).sigmoid() @ w2.T + b2
    logits = (code @ w3.T + b3).sigmoid() @ w4.T + b4
    torch.testing.assert_close(network(images), logits)
    pixels, shown = images.flatten(1), logits.sigmoid()
    expected = -(pixels * shown.log() + (1 - pixels) * (1 - shown).log()).sum(1).mean()
    torch.testing.assert_close(problem.loss(logits, pixels), expected)
