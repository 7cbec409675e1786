"""Whole files or none: atomic writing, and the checksums that tell one file from another."""

import errno
import fcntl
import hashlib
import os
import secrets
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO

from secondorder.errors import BusyError, ResultError

_CHUNK_BYTES = 1 << 20


@contextmanager
def atomic_path(target: Path) -> Iterator[Path]:
    """Yield a temporary path beside ``target`` that becomes ``target`` when the block succeeds.

    The file is flushed to disk before it is renamed, so a kill or a power cut leaves either the old file or the new
    one. When the block raises, the temporary file is removed and ``target`` is untouched.

    Args:
        target: The file to be written; its folder is made when missing.

    Yields:
        The path to write to. It has the suffix of ``target``, because some writers choose their format by it.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.stem}.{secrets.token_hex(4)}.partial{target.suffix}")
    try:
        yield temporary
        with temporary.open("rb+") as written:
            os.fsync(written.fileno())
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(target: Path, text: str) -> None:
    """Write ``text`` to ``target`` as UTF-8 with Unix line ends, whole or not at all."""
    with atomic_path(target) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")


def file_digest(path: Path, algorithm: str = "sha256") -> str:
    """Return the hexadecimal digest of a file's bytes, read in chunks.

    Args:
        path: The file.
        algorithm: A name that :func:`hashlib.new` knows, such as ``sha256`` or ``md5``.
    """
    digest = hashlib.new(algorithm, usedforsecurity=False)
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def take_lock(path: Path) -> IO[str]:
    """Take an exclusive lock that the system releases when this process ends, however it ends.

    Args:
        path: The lock's file; it holds the process's number and stays when the lock is gone.

    Returns:
        The open file; the lock is held for as long as it is not closed.

    Raises:
        BusyError: Another process holds the lock.
        ResultError: The lock's folder cannot be written to.
    """
    os.close(_open_folder(path.parent))
    stream = path.open("a+", encoding="utf-8")
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        stream.seek(0)
        holder = stream.read().strip() or "unknown"
        stream.close()
        raise BusyError(
            f"{path.parent} is in use by another run (process {holder}); wait for it to end, or work in another folder"
        ) from None
    stream.truncate(0)
    stream.write(f"{os.getpid()}\n")
    stream.flush()
    return stream


@contextmanager
def hold_folders(folders: Iterable[Path], report: Callable[[str], None]) -> Iterator[None]:
    """Be the only writer of folders within this block, after waiting for a process that is.

    Their locks end with the process. What :func:`atomic_path` left there when a process was killed is removed.

    Args:
        folders: Made when missing, and locked in this order.
        report: Takes a line when there is a process to wait for.

    Raises:
        ResultError: A folder cannot be made or written to.
    """
    with ExitStack() as held:
        for folder in folders:
            descriptor = _open_folder(folder)
            held.callback(os.close, descriptor)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                report(f"waiting for another process that writes to {folder}")
                fcntl.flock(descriptor, fcntl.LOCK_EX)
            for left in folder.glob(".*.partial*"):
                left.unlink(missing_ok=True)
        yield


def _open_folder(folder: Path) -> int:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not os.access(folder, os.W_OK):
            raise PermissionError(errno.EACCES, "not writable")
        return os.open(folder, os.O_RDONLY)
    except OSError as error:
        raise ResultError(
            f"{folder}: cannot be written to ({error.strerror}); name another folder or free it"
        ) from None
