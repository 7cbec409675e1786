"""Get one registered file: from an earlier download, from the drop-in folder, or from the sources that offer it."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from secondorder.data.drop_in import HOW_TO_NAME_THE_FOLDER, check_drop_in, drop_in_candidates
from secondorder.data.progress import shown_progress
from secondorder.data.registry import RegisteredFile
from secondorder.data.transfer import TransferError, transfer
from secondorder.data.verification import Verification, verify_file
from secondorder.errors import DataError
from secondorder.files import atomic_path

CACHE = "cache"
DROP_IN = "drop-in"
PACKAGE = "package"


@dataclass(frozen=True)
class FetchedFile:
    """A file that is at hand.

    Attributes:
        registered: The entry that was asked for.
        path: Where the file lies; inside the drop-in folder when it came from there.
        source: ``cache``, ``drop-in``, ``package``, or the address that it was downloaded from.
        bytes: Its size.
        sha256: Its SHA-256 sum.
        verified: Whether it is the registered file, by its checksum.
    """

    registered: RegisteredFile
    path: Path
    source: str
    bytes: int
    sha256: str
    verified: bool


def fetch_file(
    registered: RegisteredFile,
    destination_folder: Path,
    *,
    drop_in: Path | None,
    allow_unverified: bool,
    report: Callable[[str], None],
    attempts: int = 4,
    timeout_s: float = 30.0,
    backoff_s: float = 1.0,
    sleep: Callable[[float], None] = time.sleep,
    progress: bool = True,
) -> FetchedFile:
    """Return a registered file, downloading it only when it is nowhere at hand.

    Looked at in this order: the destination folder, the drop-in folder (whose files are used where they lie), the
    sources. A source that answers with something permanent, such as "404 Not Found" or other bytes than the
    registered ones, is not asked again; after each round over the rest the wait doubles.

    Args:
        registered: The file.
        destination_folder: Where downloads are kept.
        drop_in: A folder of the user's own files, or ``None``.
        allow_unverified: Whether a file of the drop-in folder is used although its checksum differs. Downloads are
            never used unverified.
        report: Takes one line of text for the user.
        attempts: How many times each source is asked.
        timeout_s: The longest silence of a source in seconds.
        backoff_s: The wait in seconds after the first round.
        sleep: Waits for a number of seconds.
        progress: Whether to show how far a download is.

    Returns:
        The file with its sums and where it came from.

    Raises:
        DataError: The drop-in folder does not exist, its file fails the checksum, or no source gave the file.
    """
    check_drop_in(drop_in)
    cached = _from_cache(registered, destination_folder / registered.file, report)
    if cached is not None:
        return cached
    if drop_in is not None:
        dropped = _from_drop_in(registered, drop_in, allow_unverified, report)
        if dropped is not None:
            return dropped
    target = destination_folder / registered.file
    failures: dict[str, str] = {}
    remaining = list(registered.sources)
    for attempt in range(attempts):
        if attempt and remaining:
            sleep(backoff_s * 2 ** (attempt - 1))
        for source in tuple(remaining):
            report(f"Downloading {registered.file} ({registered.bytes / 1e6:.1f} MB) from {source}")
            try:
                verification = _download(registered, source, target, timeout_s, report, progress)
            except TransferError as failure:
                failures[source] = str(failure)
                report(f"{source}: {failure}")
                if failure.permanent:
                    remaining.remove(source)
            except OSError as error:
                raise DataError(f"{target}: cannot be written ({error.strerror or error}).") from error
            else:
                return _fetched(registered, target, source, verification)
    raise DataError(_unavailable(registered, drop_in, failures))


def use_drop_in_file(
    registered: RegisteredFile, path: Path, *, allow_unverified: bool, report: Callable[[str], None]
) -> FetchedFile:
    """Verify one file of the drop-in folder, to be used where it lies.

    Args:
        registered: The file that it should be.
        path: Where it lies.
        allow_unverified: Whether it is used although its checksum differs.
        report: Takes one line of text for the user.

    Returns:
        The file with its sums.

    Raises:
        DataError: It cannot be read, or its checksum differs and that is not allowed.
    """
    verification = verify_file(registered, path)
    if not verification.passed and not allow_unverified:
        raise DataError(
            f"{path}: {verification.difference}. Replace it with the original, remove it to download the original, or "
            "set data.allow_unverified to true in the configuration to use it as it is; results then say so."
        )
    if not verification.passed:
        report(f"{path}: {verification.difference}. It is used all the same, because data.allow_unverified is set.")
    return _fetched(registered, path, DROP_IN, verification)


def _fetched(registered: RegisteredFile, path: Path, source: str, verification: Verification) -> FetchedFile:
    return FetchedFile(registered, path, source, verification.bytes, verification.sha256, verification.passed)


def _from_cache(registered: RegisteredFile, path: Path, report: Callable[[str], None]) -> FetchedFile | None:
    if not path.is_file():
        return None
    verification = verify_file(registered, path)
    if verification.passed:
        return _fetched(registered, path, CACHE, verification)
    report(f"{path}: {verification.difference}. It is fetched again.")
    return None


def _from_drop_in(
    registered: RegisteredFile, folder: Path, allow_unverified: bool, report: Callable[[str], None]
) -> FetchedFile | None:
    found = [(path, verify_file(registered, path)) for path in drop_in_candidates(registered, folder)]
    for path, verification in found:
        if verification.passed:
            return _fetched(registered, path, DROP_IN, verification)
    if not found:
        return None
    return use_drop_in_file(registered, found[0][0], allow_unverified=allow_unverified, report=report)


def _download(
    registered: RegisteredFile,
    source: str,
    target: Path,
    timeout_s: float,
    report: Callable[[str], None],
    progress: bool,
) -> Verification:
    with atomic_path(target) as temporary:
        with shown_progress(registered.file, registered.bytes, report, enabled=progress) as observe:
            transfer(source, temporary, expected_bytes=registered.bytes, timeout_s=timeout_s, observe=observe)
        verification = verify_file(registered, temporary)
        if not verification.passed:
            raise TransferError(verification.difference, permanent=True)
    return verification


def _unavailable(registered: RegisteredFile, drop_in: Path | None, failures: dict[str, str]) -> str:
    if failures:
        reasons = "".join(f"\n  {source}: {reason}" for source, reason in failures.items())
        problem = f"The file {registered.file} of the data set {registered.dataset} could not be downloaded:{reasons}\n"
    else:
        problem = f"The file {registered.file} of the data set {registered.dataset} is not offered for download. "
    where = f"the folder {drop_in}" if drop_in is not None else "a folder of your own"
    return f"{problem}Put {registered.file} ({registered.bytes:,} bytes) into {where}. {HOW_TO_NAME_THE_FOLDER}"
