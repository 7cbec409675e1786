"""Data sets have the defined splits and statistics, and survive being stored unchanged or not at all."""

import gzip
import json
import os
import pickle
import struct
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from secondorder.data.dataset import channel_statistics
from secondorder.data.datasets import DATASETS, CollectedImages, prepare_dataset, split_dataset
from secondorder.data.drop_in import drop_in_candidates
from secondorder.data.image_files import LabelledImages
from secondorder.data.registry import registered_files
from secondorder.data.storage import arrays_digest, load_dataset, save_dataset
from secondorder.errors import DataError

REPOSITORY = Path(__file__).resolve().parents[2]
ARRAYS = [f"{split}_{kind}" for split in ("train", "validation", "test") for kind in ("images", "labels")]


def prepare(name, downloads, drop_in=None, allow_unverified=False, report=lambda line: None):
    return prepare_dataset(name, downloads, drop_in, allow_unverified, report, attempts=1, progress=False)


@pytest.fixture(scope="module")
def mnist_5k(tmp_path_factory):
    return prepare("mnist_5k", tmp_path_factory.mktemp("downloads"))


@pytest.fixture
def stored(mnist_5k, tmp_path):
    paths = tmp_path / "data.npz", tmp_path / "data.json"
    save_dataset(mnist_5k, *paths)
    return paths


@pytest.mark.parametrize(("split", "size"), [("train", 3500), ("validation", 500), ("test", 1000)])
def test_mnist_5k_splits_hold_every_digit_equally(mnist_5k, split, size):
    labels = getattr(mnist_5k, f"{split}_labels")
    assert getattr(mnist_5k, f"{split}_images").shape == (size, 1, 28, 28)
    assert np.bincount(labels).tolist() == [size // 10] * 10


def test_mnist_5k_comes_verified_from_the_package(mnist_5k):
    (file,) = mnist_5k.provenance.files
    assert (file.name, file.source, file.verified) == ("mnist_5k.csv.gz", "package", True)
    assert mnist_5k.provenance.verified


def test_statistics_are_those_of_the_training_split(mnist_5k):
    scaled = mnist_5k.train_images.astype(np.float64) / 255
    np.testing.assert_allclose(mnist_5k.mean, scaled.mean(axis=(0, 2, 3)), rtol=1e-6)
    np.testing.assert_allclose(mnist_5k.std, scaled.std(axis=(0, 2, 3)), rtol=1e-6)
    assert mnist_5k.mean.dtype == mnist_5k.std.dtype == np.float32


def test_statistics_keep_channels_apart():
    images = np.stack([np.full((7, 4, 4), 0), np.full((7, 4, 4), 255)], axis=1).astype(np.uint8)
    mean, std = channel_statistics(images)
    assert (mean.tolist(), std.tolist()) == ([0.0, 1.0], [0.0, 0.0])


@pytest.mark.parametrize(("name", "sizes"), [("mnist", (55000, 5000, 10000)), ("cifar10", (45000, 5000, 10000))])
def test_defined_sizes(name, sizes):
    definition = DATASETS[name]
    assert (definition.train_size, definition.validation_size, definition.test_size) == sizes
    assert len(definition.class_names) == 10


def tiny_images(count, shape=(1, 28, 28)):
    return LabelledImages(np.zeros((count, *shape), dtype=np.uint8), (np.arange(count) % 10).astype(np.uint8))


TINY = replace(DATASETS["mnist"], train_size=40, validation_size=10, test_size=20)


def test_published_test_images_stay_whole():
    test = tiny_images(20)
    dataset = split_dataset(TINY, CollectedImages(tiny_images(50), test, ()))
    assert dataset.test_images is test.images
    assert (len(dataset.train_labels), len(dataset.validation_labels)) == (40, 10)


@pytest.mark.parametrize(
    ("train", "test", "message"),
    [
        (tiny_images(49), tiny_images(20), "training files"),
        (tiny_images(50), tiny_images(21), "test files"),
        (tiny_images(50, (3, 32, 32)), tiny_images(20), "shape"),
    ],
)
def test_unexpected_counts_and_shapes_are_refused(train, test, message):
    with pytest.raises(DataError, match=message):
        split_dataset(TINY, CollectedImages(train, test, ()))


def test_unknown_dataset_is_refused_with_the_known_names(tmp_path):
    with pytest.raises(DataError, match=r"'svhn'.*mnist_5k, mnist, cifar10"):
        prepare("svhn", tmp_path)


@pytest.mark.parametrize("name", list(DATASETS))
def test_missing_drop_in_folder_is_refused(tmp_path, name):
    with pytest.raises(DataError, match="does not exist"):
        prepare(name, tmp_path, drop_in=tmp_path / "typo")


def test_stored_dataset_loads_unchanged(mnist_5k, stored):
    loaded = load_dataset(*stored)
    for name in (*ARRAYS, "mean", "std"):
        np.testing.assert_array_equal(getattr(loaded, name), getattr(mnist_5k, name), strict=True)
    assert (loaded.name, loaded.class_names, loaded.provenance) == (
        mnist_5k.name,
        mnist_5k.class_names,
        mnist_5k.provenance,
    )


def test_storing_twice_gives_the_same_bytes(mnist_5k, stored, tmp_path):
    again = tmp_path / "again.npz", tmp_path / "again.json"
    save_dataset(mnist_5k, *again)
    assert [path.read_bytes() for path in again] == [path.read_bytes() for path in stored]


def test_manifest_says_what_the_file_holds(stored):
    manifest = json.loads(stored[1].read_text())
    assert manifest["counts"] == {"train": 3500, "validation": 500, "test": 1000}
    assert manifest["shapes"]["train_images"] == [3500, 1, 28, 28]
    assert manifest["verified"] is True
    assert manifest["files"][0]["source"] == "package"


def test_stored_files_name_no_folder_of_this_machine(stored):
    assert str(Path.home()) not in stored[1].read_text()
    assert "site-packages" not in stored[1].read_text()


def changed_pixel(npz, manifest):
    with np.load(npz) as archive:
        arrays = dict(archive)
    arrays["test_images"][0, 0, 0, 0] ^= 1
    np.savez(npz, **arrays)


def flipped_byte(npz, manifest):
    content = bytearray(npz.read_bytes())
    content[len(content) // 2] ^= 1
    npz.write_bytes(content)


def pickled_array(npz, manifest):
    with np.load(npz) as archive:
        arrays = dict(archive)
    arrays["mean"] = np.array([{"an": "object"}], dtype=object)
    np.savez(npz, **arrays)


def one_array(npz, manifest):
    with npz.open("wb") as stream:
        np.save(stream, np.zeros(1))


def without_entry(npz, manifest):
    content = json.loads(manifest.read_text())
    del content["class_names"]
    manifest.write_text(json.dumps(content))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        pytest.param(changed_pixel, "the arrays have the digest", id="changed pixel"),
        pytest.param(flipped_byte, "cannot be read as a file of arrays", id="flipped byte"),
        pytest.param(pickled_array, "cannot be read as a file of arrays", id="pickled array"),
        pytest.param(lambda npz, manifest: npz.write_bytes(npz.read_bytes()[:1000]), "cannot be read", id="truncated"),
        pytest.param(lambda npz, manifest: npz.write_bytes(b""), "cannot be read", id="empty"),
        pytest.param(lambda npz, manifest: npz.unlink(), "cannot be read", id="no arrays"),
        pytest.param(lambda npz, manifest: np.savez(npz, mean=np.zeros(1)), "found the arrays", id="other arrays"),
        pytest.param(one_array, "cannot be read", id="one array"),
        pytest.param(lambda npz, manifest: manifest.unlink(), "cannot be read", id="no manifest"),
        pytest.param(lambda npz, manifest: manifest.write_text("{"), "found no JSON", id="broken manifest"),
        pytest.param(lambda npz, manifest: manifest.write_text("[]"), "found a JSON list", id="manifest is a list"),
        pytest.param(without_entry, "class_names", id="incomplete manifest"),
    ],
)
def test_damaged_storage_is_refused(stored, damage, message):
    damage(*stored)
    with pytest.raises(DataError, match=message):
        load_dataset(*stored)


@pytest.mark.parametrize(
    "changed",
    [
        {"b": np.arange(6, dtype=np.uint8)},
        {"a": np.arange(6, dtype=np.int8)},
        {"a": np.arange(6, dtype=np.uint8).reshape(2, 3)},
        {"a": np.arange(1, 7, dtype=np.uint8)},
    ],
    ids=["name", "type", "shape", "content"],
)
def test_digest_depends_on_everything(changed):
    assert arrays_digest(changed) != arrays_digest({"a": np.arange(6, dtype=np.uint8)})


def test_digest_does_not_depend_on_memory_layout():
    array = np.arange(6, dtype=np.float32).reshape(2, 3)
    others = (np.asfortranarray(array), array.astype(">f4"))
    assert {arrays_digest({"a": other}) for other in others} == {arrays_digest({"a": array})}


def idx(array):
    return bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


def test_unverified_drop_in_files_mark_the_dataset(tmp_path):
    for name, count in (("train", 60000), ("t10k", 10000)):
        labels = (np.arange(count) % 10).astype(np.uint8)
        images = np.broadcast_to(labels[:, None, None], (count, 28, 28))
        for kind, array in (("labels-idx1", labels), ("images-idx3", images)):
            (tmp_path / f"{name}-{kind}-ubyte.gz").write_bytes(gzip.compress(idx(array), compresslevel=1))
    dataset = prepare("mnist", tmp_path / "downloads", drop_in=tmp_path, allow_unverified=True)
    assert not dataset.provenance.verified
    assert {file.source for file in dataset.provenance.files} == {"drop-in"}
    assert (dataset.train_images[:, 0, 0, 0] == dataset.train_labels).all()
    assert np.bincount(dataset.validation_labels).tolist() == [500] * 10


@pytest.fixture
def cifar10_batches(tmp_path):
    """A drop-in folder with the six batches, all of them one file of black images."""
    folder = tmp_path / "mine" / "cifar10" / "cifar-10-batches-py"
    folder.mkdir(parents=True)
    record = {b"data": np.zeros((10000, 3072), dtype=np.uint8), b"labels": list(range(10)) * 1000}
    first, *others = (folder / entry.file for entry in registered_files("cifar10_batches"))
    first.write_bytes(pickle.dumps(record))
    for other in others:
        other.hardlink_to(first)
    return folder


def test_unpacked_cifar10_is_used_when_it_is_allowed_unverified(cifar10_batches, tmp_path):
    dataset = prepare("cifar10", tmp_path / "downloads", drop_in=tmp_path / "mine", allow_unverified=True)
    assert dataset.train_images.shape == (45000, 3, 32, 32)
    assert np.bincount(dataset.train_labels).tolist() == [4500] * 10
    assert len(dataset.provenance.files) == 6
    assert not dataset.provenance.verified


def test_unpacked_cifar10_with_other_checksums_is_refused(cifar10_batches, tmp_path):
    with pytest.raises(DataError, match=r"data_batch_1: the checksum does not match: expected md5:c99cafc"):
        prepare("cifar10", tmp_path / "downloads", drop_in=tmp_path / "mine")


def test_incomplete_unpacked_cifar10_gives_way_to_the_archive(cifar10_batches, tmp_path):
    (cifar10_batches / "test_batch").unlink()
    (tmp_path / "mine" / "cifar-10-python.tar.gz").write_bytes(b"not the archive")
    with pytest.raises(DataError, match=r"cifar-10-python\.tar\.gz: the checksum does not match"):
        prepare("cifar10", tmp_path / "downloads", drop_in=tmp_path / "mine")


def real_data_folder():
    """The folder of original files that this machine may have."""
    named = os.environ.get("SECONDORDER_DATA")
    return Path(named) if named and Path(named).is_dir() else None


def has_mnist(folder):
    return folder is not None and all(drop_in_candidates(entry, folder) for entry in registered_files("mnist"))


@pytest.mark.skipif(not has_mnist(real_data_folder()), reason="no folder with the original MNIST files")
def test_original_mnist(tmp_path):
    dataset = prepare("mnist", tmp_path, drop_in=real_data_folder())
    assert dataset.provenance.verified
    assert dataset.train_images.shape == (55000, 1, 28, 28)
    np.testing.assert_allclose(dataset.mean, [0.1307], atol=1e-3)
    np.testing.assert_allclose(dataset.std, [0.3081], atol=1e-3)


def test_what_a_killed_download_left_is_removed(tmp_path):
    left = tmp_path / "mnist_5k" / ".images.0123abcd.partial.gz"
    left.parent.mkdir()
    left.write_bytes(b"half")
    prepare("mnist_5k", tmp_path)
    assert not left.exists()
