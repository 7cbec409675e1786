"""A manifest says what made a result, and a result whose manifest says something else is refused."""

import json
import platform
from pathlib import Path

import numpy as np
import pytest

from secondorder.errors import ResultError
from secondorder.provenance import manifest
from secondorder.provenance.manifest import first_difference, read_manifest, require_match, write_manifest

DIFFERENCES = {
    "equal": ({"a": 1, "b": "x"}, {"a": 1, "b": "x"}, None),
    "equal nested": ({"a": {"b": {"c": [1, 2]}}}, {"a": {"b": {"c": [1, 2]}}}, None),
    "order of keys": ({"b": 1, "a": 2}, {"a": 2, "b": 1}, None),
    "whole number and float": ({"a": 1}, {"a": 1.0}, None),
    "nothing expected": ({"a": 1}, {}, None),
    "more at the top": ({"a": 1, "b": 2}, {"a": 1}, None),
    "value": ({"a": 1}, {"a": 2}, ("a", 1, 2)),
    "type": ({"a": "1"}, {"a": 1}, ("a", "1", 1)),
    "null": ({"a": None}, {"a": 1}, ("a", None, 1)),
    "missing": ({}, {"a": 1}, ("a", None, 1)),
    "nested value": ({"a": {"b": 1, "c": 3}}, {"a": {"b": 1, "c": 2}}, ("a.c", 3, 2)),
    "nested missing": ({"a": {}}, {"a": {"b": 1}}, ("a.b", None, 1)),
    "nested more": ({"a": {"b": 1, "z": 2, "c": 3}}, {"a": {"b": 1}}, ("a.c", 3, None)),
    "first of several, in the expected order": ({"a": 0, "b": 0}, {"b": 1, "a": 1}, ("b", 0, 1)),
    "value before more": ({"a": {"b": 0, "c": 0}}, {"a": {"b": 1}}, ("a.b", 0, 1)),
    "list as a whole": ({"a": [1, 2]}, {"a": [1, 3]}, ("a", [1, 2], [1, 3])),
    "length of a list": ({"a": [1, 2]}, {"a": [1]}, ("a", [1, 2], [1])),
    "value for a mapping": ({"a": 1}, {"a": {"b": 2}}, ("a.b", None, 2)),
    "mapping for a value": ({"a": {"b": 2}}, {"a": 1}, ("a", {"b": 2}, 1)),
    "empty mapping expected": ({"a": {"b": 2}}, {"a": {}}, ("a.b", 2, None)),
}


@pytest.mark.parametrize(("found", "expected", "difference"), DIFFERENCES.values(), ids=DIFFERENCES.keys())
def test_first_difference(found, expected, difference):
    assert first_difference(found, expected) == difference


@pytest.mark.parametrize(("found", "expected", "difference"), DIFFERENCES.values(), ids=DIFFERENCES.keys())
def test_require_match_refuses_what_differs(found, expected, difference):
    if difference is None:
        require_match(Path("m.json"), found, expected)
        return
    name, value, wanted = difference
    with pytest.raises(ResultError) as caught:
        require_match(Path("m.json"), found, expected)
    assert str(caught.value) == (
        f"m.json: does not belong here: {name} is {value!r}, expected {wanted!r}; delete its folder and run again"
    )


def test_what_is_written_is_read(tmp_path):
    content = {"seeds": [{"seed": 0, "status": "finished", "diverged_at_step": None}], "learning_rate": 0.1 + 0.2}
    write_manifest(tmp_path / "new" / "m.json", content)
    assert read_manifest(tmp_path / "new" / "m.json") == {"format_version": 1, **content}


def test_same_content_gives_the_same_bytes_in_any_order(tmp_path):
    write_manifest(tmp_path / "a", {"x": 1, "y": {"b": 2, "a": 3}})
    write_manifest(tmp_path / "b", {"y": {"a": 3, "b": 2}, "x": 1})
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_manifest_is_json_that_others_can_read(tmp_path):
    write_manifest(tmp_path / "m", {"x": "μ"})
    assert json.loads((tmp_path / "m").read_text(encoding="utf-8"))["x"] == "μ"


def test_content_that_is_no_json_leaves_the_old_manifest(tmp_path):
    write_manifest(tmp_path / "m", {"x": 1})
    with pytest.raises(TypeError):
        write_manifest(tmp_path / "m", {"x": object()})
    assert read_manifest(tmp_path / "m")["x"] == 1
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize(
    ("content", "words"),
    [
        pytest.param(None, "cannot be read as a manifest (", id="missing"),
        pytest.param(b"", "cannot be read as a manifest (", id="empty"),
        pytest.param(b'{"format_version": 1', "cannot be read as a manifest (", id="cut off"),
        pytest.param(b"\xff\xfe", "cannot be read as a manifest (", id="not text"),
        pytest.param(b"[1]", "is no manifest of format 1;", id="list"),
        pytest.param(b"{}", "is no manifest of format 1;", id="without a version"),
        pytest.param(b'{"format_version": 0}', "is no manifest of format 1;", id="older"),
        pytest.param(b'{"format_version": "1"}', "is no manifest of format 1;", id="version as text"),
    ],
)
def test_file_that_is_no_manifest(tmp_path, content, words):
    path = tmp_path / "m.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ResultError) as caught:
        read_manifest(path)
    assert str(caught.value).startswith(f"{path}: {words}")
    assert str(caught.value).endswith("delete its folder and run again")


def test_environment_names_versions_of_what_is_installed(monkeypatch):
    versions = manifest.environment()
    assert (versions["python"], versions["numpy"]) == (platform.python_version(), np.__version__)
    monkeypatch.setattr(manifest, "_PACKAGES", ("numpy", "no-such-package-here"))
    assert set(manifest.environment()) == {"python", "numpy"}


def test_machine_is_described_without_its_name():
    described = manifest.machine()
    assert set(described) == {"system", "machine", "processor", "instructions"}
    assert platform.node() not in described.values()


@pytest.mark.parametrize(
    ("text", "processor", "instructions"),
    [
        pytest.param(
            "processor\t: 0\nmodel name\t: A : B\nflags\t\t: fpu fma avx2 avx\n\nprocessor\t: 1\nflags\t: sse\n",
            "A : B",
            "avx avx2 fma",
            id="x86",
        ),
        pytest.param("processor\t: 0\nFeatures\t: fp asimd sve\n", platform.processor(), "asimd sve", id="Arm"),
        pytest.param(None, platform.processor(), "", id="a system that does not say"),
    ],
)
def test_processor_is_what_the_system_says_of_the_first(monkeypatch, text, processor, instructions):
    def read(path, **options):
        if text is None:
            raise OSError
        return text

    monkeypatch.setattr(manifest.Path, "read_text", read)
    described = manifest.machine()
    assert (described["processor"], described["instructions"]) == (processor, instructions)


@pytest.mark.parametrize(("status", "dirty"), [("", False), (" M file.py", True)])
def test_commit_says_whether_there_are_changes(monkeypatch, status, dirty):
    answers = {"rev-parse": "0123abcd", "status": status, "ls-files": "manifest.py"}
    monkeypatch.setattr(manifest, "_git", lambda folder, command, *arguments: answers[command])
    assert manifest.commit() == {"revision": "0123abcd", "dirty": dirty}


def test_package_in_a_folder_that_another_repository_ignores_has_no_commit(monkeypatch):
    def answer(folder, command, *arguments):
        if command == "ls-files":
            raise manifest.subprocess.CalledProcessError(1, "git")
        return "0123abcd"

    monkeypatch.setattr(manifest, "_git", answer)
    assert manifest.commit() == {}


@pytest.mark.parametrize("error", [OSError("no git"), manifest.subprocess.CalledProcessError(128, "git")])
def test_without_a_checkout_there_is_no_commit(monkeypatch, error):
    def fail(*arguments):
        raise error

    monkeypatch.setattr(manifest, "_git", fail)
    assert manifest.commit() == {}
