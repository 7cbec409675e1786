"""Compare a file with its entry in the registry."""

from dataclasses import dataclass
from pathlib import Path

from secondorder.data.registry import RegisteredFile
from secondorder.errors import DataError
from secondorder.files import file_digest


@dataclass(frozen=True)
class Verification:
    """What a file was found to be.

    Attributes:
        bytes: Its size.
        sha256: Its SHA-256 sum.
        difference: How it differs from the registered file, with expected and found values; empty when it does not.
    """

    bytes: int
    sha256: str
    difference: str

    @property
    def passed(self) -> bool:
        """Whether the file is the registered one."""
        return not self.difference


def verify_file(registered: RegisteredFile, path: Path) -> Verification:
    """Compute a file's sums and compare them with the registered ones.

    Args:
        registered: The entry that the file should match.
        path: The file.

    Returns:
        The sums and the difference, if any.

    Raises:
        DataError: The file cannot be read.
    """
    try:
        size = path.stat().st_size
        sha256 = file_digest(path)
        found = f"sha256:{sha256}" if registered.sha256 else f"md5:{file_digest(path, 'md5')}"
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error}).") from error
    difference = ""
    if found != registered.expected:
        difference = (
            f"the checksum does not match: expected {registered.expected} ({registered.bytes:,} bytes), "
            f"found {found} ({size:,} bytes)"
        )
    return Verification(size, sha256, difference)
