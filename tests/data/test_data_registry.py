"""The registry agrees with what others publish about the same files."""

from urllib.parse import urlsplit

import pytest

from secondorder.data.registry import registered_files
from secondorder.data.torchvision_import import import_torchvision
from secondorder.errors import DataError

DATASETS = ("mnist", "cifar10", "cifar10_batches", "mnist_5k")
ENTRIES = [pytest.param(entry, id=entry.file) for name in DATASETS for entry in registered_files(name)]


@pytest.fixture(scope="module")
def torchvision_sums():
    """The MD5 sums in torchvision's own tables, by file name."""
    datasets = import_torchvision().datasets
    cifar = datasets.CIFAR10
    return dict(datasets.MNIST.resources) | dict(cifar.train_list + cifar.test_list) | {cifar.filename: cifar.tgz_md5}


@pytest.mark.parametrize("name", ["mnist", "cifar10", "cifar10_batches"])
def test_md5_sums_are_those_of_torchvision(name, torchvision_sums):
    entries = registered_files(name)
    assert {entry.file: entry.md5 for entry in entries} == {
        entry.file: torchvision_sums[entry.file] for entry in entries
    }


def test_importing_torchvision_twice_gives_the_same_module():
    assert import_torchvision() is import_torchvision()


@pytest.mark.parametrize(("name", "count"), [("mnist", 4), ("cifar10", 1), ("cifar10_batches", 6), ("mnist_5k", 1)])
def test_number_of_files(name, count):
    assert len(registered_files(name)) == count


@pytest.mark.parametrize("entry", ENTRIES)
def test_checksums_are_whole(entry):
    assert (len(entry.md5), len(entry.sha256)) in ((32, 64), (32, 0))
    int(entry.md5 + entry.sha256, 16)


@pytest.mark.parametrize("entry", ENTRIES)
def test_every_source_is_encrypted_and_ends_in_the_file_name(entry):
    for source in entry.sources:
        assert urlsplit(source).scheme == "https"
        assert source.endswith("/" + entry.file)


@pytest.mark.parametrize("entry", ENTRIES)
def test_size_and_licence_are_stated(entry):
    assert entry.bytes > 0
    assert entry.licence


def test_expected_prefers_sha256():
    assert registered_files("mnist")[0].expected.startswith("sha256:")
    assert registered_files("cifar10_batches")[0].expected.startswith("md5:")


def test_unknown_dataset_is_refused_with_the_known_names():
    with pytest.raises(DataError, match=r"'imagenet'.*cifar10, cifar10_batches, mnist, mnist_5k"):
        registered_files("imagenet")
