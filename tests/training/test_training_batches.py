"""Mini-batches take each image once an epoch, in an order that the seed alone decides, and resume where they were."""

import dataclasses
import io
from itertools import chain

import numpy as np
import pytest
import torch
from training_support import TRAIN_IMAGES

from secondorder.data.augmentation import crop_and_flip
from secondorder.training.batches import BatchOrder, DeviceSplit

DEVICES = [
    "cpu",
    pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="PyTorch sees no CUDA device")),
]
BATCH_SIZES = [1, 7, 30, 50, 120]


@pytest.fixture
def numbered(dataset):
    """The training split with each image's number as its label."""
    return dataclasses.replace(dataset, train_labels=np.arange(TRAIN_IMAGES, dtype=np.uint8))


def split_of(dataset, device="cpu"):
    return DeviceSplit(dataset.train_images, dataset.train_labels, dataset, torch.device(device))


def order(dataset, batch_size, seed=0, augmentation=None, device="cpu"):
    return BatchOrder(split_of(dataset, device), batch_size, seed, augmentation)


def numbers(batches, count):
    return [batches.next_batch()[1].tolist() for _ in range(count)]


@pytest.mark.parametrize("batch_size", BATCH_SIZES)
def test_an_epoch_is_all_whole_batches_and_repeats_no_image(numbered, batch_size):
    batches = order(numbered, batch_size)
    per_epoch = TRAIN_IMAGES // batch_size
    for epoch in (1, 2, 3):
        seen = numbers(batches, per_epoch)
        assert [len(batch) for batch in seen] == [batch_size] * per_epoch
        assert len(set(chain(*seen))) == per_epoch * batch_size
        assert batches.epochs == epoch


def test_epochs_are_counted_in_parts(numbered):
    batches = order(numbered, 30)
    parts = []
    for _ in range(5):
        batches.next_batch()
        parts.append(batches.epochs)
    assert parts == [0.25, 0.5, 0.75, 1.0, 1.25]


def test_epochs_are_in_different_orders(numbered):
    batches = order(numbered, TRAIN_IMAGES)
    first, second = numbers(batches, 2)
    assert first != second


def test_remainders_take_turns(numbered):
    batches = order(numbered, 50)
    left_out = [set(range(TRAIN_IMAGES)) - set(chain(*numbers(batches, 2))) for _ in range(2)]
    assert left_out[0] != left_out[1]


def test_the_order_is_neither_that_of_the_data_nor_of_another_seed(numbered):
    orders = [numbers(order(numbered, TRAIN_IMAGES, seed), 1)[0] for seed in (0, 1)]
    assert orders[0] != orders[1]
    assert list(range(TRAIN_IMAGES)) not in orders


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("batch_size", BATCH_SIZES)
def test_the_order_depends_on_nothing_but_the_seed(numbered, batch_size, device):
    torch.manual_seed(batch_size)
    reference = numbers(order(numbered, 10), 24)
    per_epoch = TRAIN_IMAGES // batch_size
    torch.manual_seed(99)
    batches = order(numbered, batch_size, augmentation=crop_and_flip, device=device)
    for epoch in range(2):
        expected = list(chain(*reference[epoch * 12 : (epoch + 1) * 12]))
        assert list(chain(*numbers(batches, per_epoch))) == expected[: per_epoch * batch_size]


def test_drawing_batches_leaves_the_global_generator_alone(numbered):
    batches = order(numbered, 30, augmentation=crop_and_flip)
    before = torch.get_rng_state()
    numbers(batches, 9)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("device", DEVICES)
def test_images_are_normalised(numbered, device):
    inputs, labels = order(numbered, TRAIN_IMAGES, device=device).next_batch()
    pixels = numbered.train_images[labels.cpu().numpy()].astype(np.float64)
    expected = (pixels / 255 - np.float64(numbered.mean)) / np.float64(numbered.std)
    assert inputs.dtype == torch.float32
    np.testing.assert_allclose(inputs.cpu().numpy(), expected, rtol=0, atol=2e-6)


def test_each_channel_has_its_own_mean_and_deviation(dataset):
    mean, std = np.array([0.1, 0.5, 0.9], dtype=np.float32), np.array([0.2, 0.25, 0.5], dtype=np.float32)
    images = np.random.default_rng(0).integers(0, 256, (4, 3, 5, 6), dtype=np.uint8)
    colour = dataclasses.replace(dataset, train_images=images, train_labels=np.zeros(4, np.uint8), mean=mean, std=std)
    split = split_of(colour)
    expected = (images / 255 - mean[:, None, None].astype(float)) / std[:, None, None].astype(float)
    np.testing.assert_allclose(split.normalise(split.images).numpy(), expected, rtol=0, atol=1e-6)


def test_normalising_leaves_the_stored_images_alone(dataset):
    split = split_of(dataset)
    split.normalise(split.images)
    assert split.images.dtype == torch.uint8
    np.testing.assert_array_equal(split.images.numpy(), dataset.train_images)


def test_labels_stay_with_their_images(dataset):
    split = split_of(dataset)
    inputs, labels = order(dataset, TRAIN_IMAGES, augmentation=None).next_batch()
    brightest_row = inputs[:, 0].mean(dim=2).argmax(dim=1)
    assert torch.equal((brightest_row - 4) // 2, labels)
    assert len(split) == TRAIN_IMAGES


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("augmentation", [None, crop_and_flip], ids=["plain", "augmented"])
@pytest.mark.parametrize("taken", [0, 1, 3, 4, 6])
def test_a_state_resumes_with_the_same_batches(numbered, taken, augmentation, device):
    original = order(numbered, 30, seed=5, augmentation=augmentation, device=device)
    numbers(original, taken)
    file = io.BytesIO()
    torch.save(original.state_dict(), file)
    expected = [original.next_batch() for _ in range(9)]
    file.seek(0)
    resumed = order(numbered, 30, seed=8, augmentation=augmentation, device=device)
    resumed.load_state_dict(torch.load(file, map_location="cpu", weights_only=True))
    for inputs, labels in expected:
        resumed_inputs, resumed_labels = resumed.next_batch()
        assert torch.equal(resumed_labels, labels)
        assert torch.equal(resumed_inputs, inputs)
    assert resumed.epochs == original.epochs


def test_another_seed_augments_differently(numbered):
    inputs = []
    for seed in (0, 1):
        batches = order(numbered, TRAIN_IMAGES, seed, crop_and_flip)
        images, labels = batches.next_batch()
        inputs.append(images[labels.argsort()])
    assert not torch.equal(inputs[0], inputs[1])
