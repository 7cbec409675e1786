"""Files are written whole or not at all, and told apart by their digests."""

import os
import threading

import pytest

from secondorder.errors import BusyError, ResultError
from secondorder.files import atomic_path, file_digest, hold_folders, take_lock, write_text

KINDS = [ValueError, KeyboardInterrupt, SystemExit]


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_written_file_takes_the_place_of_the_target(tmp_path):
    target = tmp_path / "new" / "file.txt"
    with atomic_path(target) as temporary:
        temporary.write_text("new")
        assert not target.exists()
    assert target.read_text() == "new"
    assert names(target.parent) == ["file.txt"]


def test_old_file_is_there_until_the_end(tmp_path):
    target = tmp_path / "file.txt"
    target.write_text("old")
    with atomic_path(target) as temporary:
        temporary.write_text("new")
        assert target.read_text() == "old"
    assert target.read_text() == "new"


def fail_to_write(target, kind, text):
    with atomic_path(target) as temporary:
        if text is not None:
            temporary.write_text(text)
        raise kind


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("begun", [True, False], ids=["half written", "nothing written"])
def test_failure_leaves_the_old_file_and_nothing_else(tmp_path, kind, begun):
    target = tmp_path / "file.txt"
    target.write_text("old")
    with pytest.raises(kind):
        fail_to_write(target, kind, "half" if begun else None)
    assert target.read_text() == "old"
    assert names(tmp_path) == ["file.txt"]


@pytest.mark.parametrize("kind", KINDS)
def test_failure_of_a_new_file_leaves_nothing(tmp_path, kind):
    with pytest.raises(kind):
        fail_to_write(tmp_path / "file.txt", kind, "half")
    assert names(tmp_path) == []


def test_block_that_writes_nothing_is_an_error_and_keeps_the_old_file(tmp_path):
    target = tmp_path / "file.txt"
    target.write_text("old")
    with pytest.raises(FileNotFoundError), atomic_path(target):
        pass
    assert target.read_text() == "old"


@pytest.mark.parametrize("name", ["table.parquet", "figure.pdf", "archive.tar.gz", "plain"])
def test_temporary_file_lies_beside_the_target_hidden_with_its_suffix(tmp_path, name):
    target = tmp_path / name
    with atomic_path(target) as temporary:
        assert (temporary.parent, temporary.suffix) == (target.parent, target.suffix or ".partial")
        assert temporary.name.startswith(".")
        temporary.touch()


def test_two_writers_do_not_share_a_temporary_file(tmp_path):
    with atomic_path(tmp_path / "file") as one, atomic_path(tmp_path / "file") as other:
        assert one != other
        one.write_text("one")
        other.write_text("other")
    assert (tmp_path / "file").read_text() == "one", "the last to finish"


def test_text_is_utf8_with_unix_line_ends(tmp_path):
    write_text(tmp_path / "file", "∞\nμ\n")
    assert (tmp_path / "file").read_bytes() == "∞\nμ\n".encode()


VECTORS = {  # FIPS 180-2 appendix B and RFC 1321 appendix A.5
    "sha256 abc": ("sha256", b"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
    "sha256 empty": ("sha256", b"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
    "sha256 million": (
        "sha256",
        b"a" * 1_000_000,
        "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0",
    ),
    "md5 abc": ("md5", b"abc", "900150983cd24fb0d6963f7d28e17f72"),
    "md5 empty": ("md5", b"", "d41d8cd98f00b204e9800998ecf8427e"),
}


@pytest.mark.parametrize(("algorithm", "content", "digest"), VECTORS.values(), ids=VECTORS.keys())
def test_digest_of_known_vectors(tmp_path, algorithm, content, digest):
    (tmp_path / "file").write_bytes(content)
    assert file_digest(tmp_path / "file", algorithm) == digest


def test_digest_reads_all_chunks(tmp_path):
    content = bytearray(3 * (1 << 20) + 1)
    (tmp_path / "zeros").write_bytes(content)
    content[-1] = 1
    (tmp_path / "last_differs").write_bytes(content)
    assert file_digest(tmp_path / "zeros") != file_digest(tmp_path / "last_differs")


def test_default_algorithm_is_sha256(tmp_path):
    (tmp_path / "file").write_bytes(b"abc")
    assert file_digest(tmp_path / "file") == file_digest(tmp_path / "file", "sha256")


def test_lock_is_held_until_it_is_closed(tmp_path):
    path = tmp_path / "results" / ".lock"
    with take_lock(path), pytest.raises(BusyError, match=rf"is in use by another run \(process {os.getpid()}\)"):
        take_lock(path)
    take_lock(path).close()


def test_locks_of_different_files_do_not_meet(tmp_path):
    with take_lock(tmp_path / "one"), take_lock(tmp_path / "two"):
        pass


def test_folder_is_made_held_and_swept(tmp_path):
    folder = tmp_path / "new" / "folder"
    with hold_folders([folder], pytest.fail):
        assert names(folder) == []
    (folder / ".metrics.0123abcd.partial.parquet").write_text("killed", encoding="utf-8")
    (folder / "metrics.parquet").write_text("whole", encoding="utf-8")
    with hold_folders([folder], pytest.fail):
        assert names(folder) == ["metrics.parquet"]


def test_second_writer_waits_for_the_first(tmp_path):
    order, said = [], []
    waiting = threading.Event()

    def report(line):
        said.append(line)
        waiting.set()

    def second():
        with hold_folders([tmp_path], report):
            order.append("second")

    with hold_folders([tmp_path], pytest.fail):
        thread = threading.Thread(target=second)
        thread.start()
        assert waiting.wait(timeout=30)
        order.append("first")
    thread.join(timeout=30)
    assert order == ["first", "second"]
    assert said == [f"waiting for another process that writes to {tmp_path}"]


def test_folder_that_is_a_file_is_one_clear_error(tmp_path):
    (tmp_path / "file").write_text("", encoding="utf-8")
    said = r"file/below: cannot be written to \(Not a directory\)"
    with pytest.raises(ResultError, match=said), hold_folders([tmp_path / "file" / "below"], pytest.fail):
        pass
