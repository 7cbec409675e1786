"""What the readers share: labelled images, and one error for every way in which a file can be broken."""

import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from secondorder.errors import DataError

GZIP_MAGIC = b"\x1f\x8b"
_CLASS_COUNT = 10
_REMEDY = "Delete the file so that it is fetched again, or replace it with the original."


class ByteStream(Protocol):
    """Whatever bytes can be read from."""

    def read(self, size: int = -1, /) -> bytes:
        """Return the next bytes, at most ``size`` of them, all when it is negative."""


@dataclass(frozen=True, eq=False)
class LabelledImages:
    """Images and the class of each.

    Attributes:
        images: Pixels of shape (N, channels, height, width), uint8.
        labels: Classes of shape (N,), uint8.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.uint8]


def broken_file(path: Path, found: str, expected: str) -> DataError:
    """Return the error for a file whose content is not what its name promises.

    Args:
        path: The file.
        found: What it holds.
        expected: What it should hold.
    """
    return DataError(f"{path}: found {found}, expected {expected}. {_REMEDY}")


def looks_like_web_page(start: bytes) -> bool:
    """Tell whether a file starts as an HTML page does: the usual result of a failed download that nobody noticed."""
    text = start.lstrip(b"\xef\xbb\xbf \t\r\n")[:64].lower()
    return text.startswith((b"<!doctype html", b"<html", b"<head", b"<body"))


def describe_start(start: bytes) -> str:
    """Describe in words the first bytes of a file that is not what it should be."""
    if not start:
        return "an empty file"
    if looks_like_web_page(start):
        return "a web page (HTML)"
    return f"a file that starts with the bytes {start[:8].hex(' ')}"


@contextmanager
def decompression_errors(path: Path, expected: str) -> Iterator[None]:
    """Turn the errors of opening and decompressing ``path`` into one :class:`DataError` that names it.

    Args:
        path: The file that is read in the block.
        expected: What the file should be, for the message.

    Raises:
        DataError: The block met a missing, unreadable, truncated or corrupt file.
    """
    try:
        yield
    except FileNotFoundError as error:
        raise DataError(f"{path}: there is no such file, expected {expected}.") from error
    except EOFError as error:
        raise broken_file(path, "compressed data that end too early (a truncated file)", expected) from error
    except (gzip.BadGzipFile, zlib.error) as error:
        raise broken_file(path, f"corrupt compressed data ({error})", expected) from error
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error}), expected {expected}.") from error


def checked_labels(path: Path, labels: NDArray[np.integer]) -> NDArray[np.uint8]:
    """Return ``labels`` as uint8 after checking that each is one of the ten classes.

    Args:
        path: The file that they come from, for the message.
        labels: The labels.

    Raises:
        DataError: A label lies outside 0 to 9.
    """
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high >= _CLASS_COUNT:
        raise broken_file(path, f"labels from {low} to {high}", f"labels from 0 to {_CLASS_COUNT - 1}")
    return labels.astype(np.uint8)
