"""The table of files that the data sets are made of: their sizes, checksums, licences and where they are offered."""

import csv
from dataclasses import dataclass
from functools import cache
from importlib import resources

from secondorder.errors import DataError

_TABLE = "registry.csv"


@dataclass(frozen=True)
class RegisteredFile:
    """One file of a data set, as published.

    Attributes:
        dataset: The data set that the file belongs to.
        file: The file's name.
        bytes: Its size.
        md5: Its MD5 sum in lower-case hexadecimal digits.
        sha256: Its SHA-256 sum, or the empty string where only the MD5 sum is published.
        licence: The terms under which the file is offered.
        sources: The addresses that offer it, in the order in which they are tried; empty for a file that is not
            downloaded by itself.
    """

    dataset: str
    file: str
    bytes: int
    md5: str
    sha256: str
    licence: str
    sources: tuple[str, ...]

    @property
    def expected(self) -> str:
        """The checksum that decides, written as ``algorithm:digits``: SHA-256 where it is known, else MD5."""
        return f"sha256:{self.sha256}" if self.sha256 else f"md5:{self.md5}"


def registered_files(dataset: str) -> tuple[RegisteredFile, ...]:
    """Return the files of one data set, in the order of the table.

    Args:
        dataset: The name in the table's first column, such as ``mnist``.

    Returns:
        One entry per file.

    Raises:
        DataError: The table has no such data set.
    """
    files = tuple(entry for entry in _read_table() if entry.dataset == dataset)
    if not files:
        known = ", ".join(sorted({entry.dataset for entry in _read_table()}))
        raise DataError(f"No files are registered for the data set {dataset!r}. Registered are: {known}.")
    return files


@cache
def _read_table() -> tuple[RegisteredFile, ...]:
    text = resources.files("secondorder.data").joinpath(_TABLE).read_text(encoding="utf-8")
    return tuple(
        RegisteredFile(
            dataset=row["dataset"],
            file=row["file"],
            bytes=int(row["bytes"]),
            md5=row["md5"],
            sha256=row["sha256"],
            licence=row["licence"],
            sources=tuple(row["sources"].split()),
        )
        for row in csv.DictReader(text.splitlines())
    )
