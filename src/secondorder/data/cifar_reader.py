"""Read CIFAR-10's pickled batches without trusting them: nothing but plain arrays can come out of the pickle."""

import gzip
import io
import pickle
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any, cast

import numpy as np
from numpy.typing import NDArray

from secondorder.data.image_files import (
    GZIP_MAGIC,
    ByteStream,
    LabelledImages,
    broken_file,
    checked_labels,
    decompression_errors,
    describe_start,
    looks_like_web_page,
)

TRAIN_BATCHES = tuple(f"data_batch_{number}" for number in range(1, 6))
TEST_BATCH = "test_batch"
BATCHES_FOLDER = "cifar-10-batches-py"

_IMAGE_SHAPE = (3, 32, 32)
_ROW_LENGTH = 3 * 32 * 32
_MAXIMUM_MEMBER_BYTES = 64 << 20
_MAXIMUM_ARCHIVE_BYTES = 256 << 20
_EXPECTED_BATCH = "a pickled CIFAR-10 batch with the entries 'data' and 'labels'"
_EXPECTED_ARCHIVE = "CIFAR-10's gzip-compressed tar archive"


def read_cifar10_batches(folder: Path) -> tuple[LabelledImages, LabelledImages]:
    """Read the six batch files of an unpacked CIFAR-10.

    Args:
        folder: The folder ``cifar-10-batches-py`` with ``data_batch_1`` to ``data_batch_5`` and ``test_batch``.

    Returns:
        The training images, in the order of the batches, and the test images; each of shape (N, 3, 32, 32).

    Raises:
        DataError: A file is missing or malformed.
    """
    batches: dict[str, LabelledImages] = {}
    for name in (*TRAIN_BATCHES, TEST_BATCH):
        path = folder / name
        with decompression_errors(path, _EXPECTED_BATCH), path.open("rb") as stream:
            content = stream.read(_MAXIMUM_MEMBER_BYTES + 1)
        if len(content) > _MAXIMUM_MEMBER_BYTES:
            raise broken_file(path, f"more than {_MAXIMUM_MEMBER_BYTES:,} bytes", _EXPECTED_BATCH)
        batches[name] = _read_batch(path, content)
    return _join(batches)


def read_cifar10_archive(path: Path) -> tuple[LabelledImages, LabelledImages]:
    """Read the six batches out of CIFAR-10's archive, in memory.

    Nothing is unpacked to disk: members are taken by their known names, links are refused, and both the size of a
    member and that of the whole decompressed archive are bounded.

    Args:
        path: The file ``cifar-10-python.tar.gz``.

    Returns:
        The training images, in the order of the batches, and the test images; each of shape (N, 3, 32, 32).

    Raises:
        DataError: The archive is missing, truncated or corrupt, lacks a batch, or holds something that it must not.
    """
    wanted = {f"{BATCHES_FOLDER}/{name}": name for name in (*TRAIN_BATCHES, TEST_BATCH)}
    batches: dict[str, LabelledImages] = {}
    with decompression_errors(path, _EXPECTED_ARCHIVE), path.open("rb") as raw:
        start = raw.read(64)
        raw.seek(0)
        if start[:2] != GZIP_MAGIC:
            raise broken_file(path, describe_start(start), _EXPECTED_ARCHIVE)
        try:
            with (
                gzip.open(raw) as decompressed,
                tarfile.open(fileobj=cast("IO[bytes]", _BoundedStream(path, decompressed)), mode="r|") as archive,
            ):
                for member in archive:
                    _check_member(path, member)
                    name = wanted.get(member.name.removeprefix("./"))
                    if name is None:
                        continue
                    stream = archive.extractfile(member)
                    if stream is None or name in batches:
                        found = f"the member {member.name} twice" if stream else f"no regular file {member.name}"
                        raise broken_file(path, found, "each batch once, as a regular file")
                    batches[name] = _read_batch(path / member.name, stream.read())
        except tarfile.TarError as error:
            raise broken_file(path, f"a damaged archive ({error})", _EXPECTED_ARCHIVE) from error
    missing = [name for name in wanted.values() if name not in batches]
    if missing:
        raise broken_file(path, f"an archive without {', '.join(missing)}", _EXPECTED_ARCHIVE)
    return _join(batches)


class _BoundedStream:
    """A stream that gives no more than a complete archive holds, so that no decompression can fill the memory."""

    def __init__(self, path: Path, stream: ByteStream) -> None:
        self._path = path
        self._stream = stream
        self._remaining = _MAXIMUM_ARCHIVE_BYTES

    def read(self, size: int = -1, /) -> bytes:
        """Return the next bytes, or raise once the bound is passed."""
        content = self._stream.read(self._remaining + 1 if size < 0 else size)
        self._remaining -= len(content)
        if self._remaining < 0:
            found = f"more than {_MAXIMUM_ARCHIVE_BYTES:,} bytes after decompression"
            raise broken_file(self._path, found, _EXPECTED_ARCHIVE)
        return content


def _check_member(path: Path, member: tarfile.TarInfo) -> None:
    if not (member.isreg() or member.isdir()):
        raise broken_file(path, f"the member {member.name}, a link or special file", "only folders and regular files")
    if member.size > _MAXIMUM_MEMBER_BYTES:
        found = f"the member {member.name} of {member.size:,} bytes"
        raise broken_file(path, found, f"members of at most {_MAXIMUM_MEMBER_BYTES:,} bytes")


def _join(batches: Mapping[str, LabelledImages]) -> tuple[LabelledImages, LabelledImages]:
    train = LabelledImages(
        np.concatenate([batches[name].images for name in TRAIN_BATCHES]),
        np.concatenate([batches[name].labels for name in TRAIN_BATCHES]),
    )
    return train, batches[TEST_BATCH]


def _read_batch(path: Path, content: bytes) -> LabelledImages:
    record = _unpickle(path, content)
    if not isinstance(record, dict):
        raise broken_file(path, f"a pickled {type(record).__name__}", _EXPECTED_BATCH)
    entries = {key.decode("latin-1") if isinstance(key, bytes) else key: value for key, value in record.items()}
    data = entries.get("data")
    if not isinstance(data, np.ndarray) or data.dtype != np.uint8 or data.ndim != 2 or data.shape[1] != _ROW_LENGTH:
        found = f"{data.dtype} data of shape {data.shape}" if isinstance(data, np.ndarray) else "no array 'data'"
        raise broken_file(path, found, f"uint8 data of shape (N, {_ROW_LENGTH})")
    labels = _label_array(path, entries.get("labels"))
    if len(labels) != len(data) or len(data) == 0:
        raise broken_file(path, f"{len(labels):,} labels and {len(data):,} images", "one label for each image")
    return LabelledImages(data.reshape(-1, *_IMAGE_SHAPE), checked_labels(path, labels))


def _label_array(path: Path, labels: object) -> NDArray[np.int64]:
    if isinstance(labels, np.ndarray) and labels.ndim == 1:
        return labels.astype(np.int64)
    if isinstance(labels, list) and all(isinstance(label, int) and abs(label) < 1 << 62 for label in labels):
        return np.asarray(labels, dtype=np.int64)
    raise broken_file(path, f"labels of type {type(labels).__name__}", "a list of whole numbers")


def _unpickle(path: Path, content: bytes) -> object:
    if not content or looks_like_web_page(content[:512]):
        raise broken_file(path, describe_start(content), _EXPECTED_BATCH)
    try:
        return _ArrayUnpickler(io.BytesIO(content), encoding="bytes").load()
    except _ForbiddenNameError as error:
        raise broken_file(path, f"a pickle that asks for {error}", "a pickle of plain arrays") from error
    # A damaged pickle can fail in any of its instructions, and each of them has its own type of exception.
    except Exception as error:
        found = f"a damaged or truncated pickle ({type(error).__name__}: {error})"
        raise broken_file(path, found, _EXPECTED_BATCH) from error


class _ForbiddenNameError(Exception):
    """A pickle names something that has no business in an array."""


class _ArrayUnpickler(pickle.Unpickler):
    """An unpickler that knows six names, each bound to a function that can only build a plain array of numbers."""

    def find_class(self, module: str, name: str, /) -> Any:
        """Return the stand-in for an allowed name and refuse every other."""
        try:
            return _ALLOWED_NAMES[module, name]
        except KeyError:
            raise _ForbiddenNameError(f"{module}.{name}") from None


def _number_dtype(name: str | bytes, *_flags: object) -> np.dtype[Any]:
    dtype = np.dtype(name.decode("ascii") if isinstance(name, bytes) else name)
    if dtype.kind not in "iu":
        raise _ForbiddenNameError(f"an array of type {dtype}")
    return dtype


def _empty_array(_subtype: object, _shape: object, _typecode: object) -> NDArray[np.uint8]:
    return np.empty(0, dtype=np.uint8)


def _array_from_buffer(
    buffer: bytes, dtype: np.dtype[Any], shape: tuple[int, ...], order: str = "C", _axes: object = None
) -> NDArray[Any]:
    if order not in ("C", "F"):
        raise _ForbiddenNameError(f"an array in the order {order!r}")
    return np.frombuffer(buffer, dtype=dtype).reshape(shape, order="F" if order == "F" else "C").copy()


def _latin1_bytes(text: str, encoding: str | bytes) -> bytes:
    if encoding not in ("latin1", b"latin1"):
        raise _ForbiddenNameError(f"the encoding {encoding!r}")
    return text.encode("latin-1")


# numpy.ndarray and numpy.dtype are stood for by things that cannot be subclassed or called with anything else; arrays
# that are filled afterwards by their own __setstate__ take only the dtypes that _number_dtype made.
_ALLOWED_NAMES: dict[tuple[str, str], Callable[..., object] | str] = {
    ("numpy", "ndarray"): "numpy.ndarray",
    ("numpy", "dtype"): _number_dtype,
    ("_codecs", "encode"): _latin1_bytes,
    **{(f"numpy.{core}.multiarray", "_reconstruct"): _empty_array for core in ("core", "_core")},
    **{(f"numpy.{core}.numeric", "_frombuffer"): _array_from_buffer for core in ("core", "_core")},
}
