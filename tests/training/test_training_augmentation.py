"""Crops and flips are those that torchvision makes, and every one of them occurs."""

import importlib
import itertools

import pytest
import torch

from secondorder.data.augmentation import PADDING, crop_and_flip
from secondorder.data.torchvision_import import import_torchvision

DEVICES = [
    "cpu",
    pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="PyTorch sees no CUDA device")),
]
SHAPES = [(3, 32, 32), (1, 28, 28), (2, 9, 14)]
OUTCOMES = set(itertools.product(range(2 * PADDING + 1), range(2 * PADDING + 1), (False, True)))


def augment(images, seed=0):
    return crop_and_flip(images, torch.Generator(images.device).manual_seed(seed))


def random_images(count, shape=(3, 32, 32), device="cpu"):
    torch.manual_seed(0)
    return torch.randint(1, 256, (count, *shape), dtype=torch.uint8, device=device)


@pytest.fixture(scope="module")
def torchvision_functional():
    import_torchvision()
    return importlib.import_module("torchvision.transforms.v2.functional")


def outcomes_by_torchvision(functional, image):
    """What each pair of offsets, with and without a flip, makes of an image."""
    height, width = image.shape[1:]
    padded = functional.pad(image, [PADDING] * 4)
    made = {}
    for top, left, flipped in OUTCOMES:
        cropped = functional.crop(padded, top, left, height, width)
        cropped = functional.horizontal_flip(cropped) if flipped else cropped
        made[cropped.numpy().tobytes()] = (top, left, flipped)
    assert len(made) == len(OUTCOMES)
    return made


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_each_output_is_a_crop_and_flip_of_its_own_input(torchvision_functional, shape):
    images = random_images(20, shape)
    for image, output in zip(images, augment(images), strict=True):
        assert output.numpy().tobytes() in outcomes_by_torchvision(torchvision_functional, image)


def test_that_check_notices_a_shifted_channel(torchvision_functional):
    images = random_images(1)
    output = augment(images)[0]
    output[1] = output[1].roll(1, dims=1)
    assert output.numpy().tobytes() not in outcomes_by_torchvision(torchvision_functional, images[0])


@pytest.fixture(scope="module")
def many_draws(torchvision_functional):
    image = random_images(1, (1, 6, 6))
    made = outcomes_by_torchvision(torchvision_functional, image[0])
    return [made[output.numpy().tobytes()] for output in augment(image.expand(8000, -1, -1, -1))]


def test_all_offsets_and_both_flips_occur(many_draws):
    assert set(many_draws) == OUTCOMES


@pytest.mark.parametrize(("which", "choices"), [(0, 9), (1, 9), (2, 2)], ids=["top", "left", "flip"])
def test_each_choice_is_as_frequent_as_the_others(many_draws, which, choices):
    counts = [sum(draw[which] == value for draw in many_draws) for value in range(choices)]
    expected = len(many_draws) / choices
    assert max(abs(count - expected) for count in counts) < 5 * expected**0.5


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_shape_type_and_device_are_kept(shape, device):
    images = random_images(5, shape, device)
    output = augment(images)
    assert (output.shape, output.dtype, output.device) == (images.shape, torch.uint8, images.device)


def test_the_input_is_left_alone():
    images = random_images(5)
    before = images.clone()
    output = augment(images)
    output.zero_()
    assert torch.equal(images, before)


@pytest.mark.parametrize("device", DEVICES)
def test_the_generator_decides(device):
    images = random_images(10, device=device)
    first, again, other = (augment(images, seed) for seed in (3, 3, 4))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_a_generator_moves_on():
    generator = torch.Generator().manual_seed(0)
    images = random_images(10)
    assert not torch.equal(crop_and_flip(images, generator), crop_and_flip(images, generator))
