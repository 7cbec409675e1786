"""Manifests: what a result says of itself, and the check that it is the result that was asked for."""

import json
import platform
import subprocess
from collections.abc import Iterable, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from secondorder.errors import ResultError
from secondorder.files import write_text

FORMAT_VERSION = 1
_VECTOR_INSTRUCTIONS = ("sse", "avx", "fma", "amx", "asimd", "sve")
_PACKAGES = ("secondorder", "torch", "numpy", "pyarrow", "pytorch-optimizer", "scipy", "snakemake")


def environment(others: Iterable[str] = ()) -> dict[str, str]:
    """Return the versions of Python and of the packages that a result may depend on, where installed.

    Args:
        others: Further packages to name.
    """
    versions = {"python": platform.python_version()}
    for package in (*_PACKAGES, *others):
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            continue
    return versions


def machine() -> dict[str, str]:
    """Return the kind of machine, without its name.

    ``instructions`` are the processor's vector instructions, where the system lists them: they choose the kernels and
    so the rounding, and processors of one name may have others.
    """
    described = _described_processor()
    names = (described.get("flags") or described.get("Features") or "").split()
    return {
        "system": platform.system(),
        "machine": platform.machine(),
        "processor": described.get("model name") or platform.processor(),
        "instructions": " ".join(sorted(name for name in names if name.startswith(_VECTOR_INSTRUCTIONS))),
    }


def _described_processor() -> dict[str, str]:
    """Return what the system says of its first processor; nothing where it does not, as on systems other than Linux."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return {}
    pairs = (line.split(":", 1) for line in text.split("\n\n")[0].splitlines() if ":" in line)
    return {name.strip(): value.strip() for name, value in pairs}


def commit() -> dict[str, Any]:
    """Return the commit of the checkout this package runs from and whether it has uncommitted changes.

    Empty when the package does not run from a git checkout.
    """
    folder = Path(__file__).resolve().parent
    try:
        _git(folder, "ls-files", "--error-unmatch", Path(__file__).name)
        revision = _git(folder, "rev-parse", "HEAD")
        changes = _git(folder, "status", "--porcelain")
    except (OSError, subprocess.CalledProcessError):
        return {}
    return {"revision": revision, "dirty": bool(changes)}


def _git(folder: Path, *arguments: str) -> str:
    # The project's own git, asked with fixed words.
    result = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, check=True)  # noqa: S603, S607
    return result.stdout.strip()


def write_manifest(path: Path, content: Mapping[str, Any]) -> None:
    """Write a manifest as JSON, whole or not at all."""
    write_text(path, json.dumps({"format_version": FORMAT_VERSION, **content}, indent=2, sort_keys=True) + "\n")


def read_manifest(path: Path) -> dict[str, Any]:
    """Read a manifest.

    Raises:
        ResultError: It is missing or not a manifest of this format.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ResultError(f"{path}: cannot be read as a manifest ({error}); delete its folder and run again") from None
    if not isinstance(content, dict) or content.get("format_version") != FORMAT_VERSION:
        raise ResultError(f"{path}: is no manifest of format {FORMAT_VERSION}; delete its folder and run again")
    return content


def first_difference(found: Any, expected: Any, name: str = "") -> tuple[str, Any, Any] | None:
    """Return the dotted name of the first field in which ``found`` differs from ``expected``, with both values.

    At the top only what ``expected`` mentions is compared; a mapping below may hold nothing else either. None when all
    of it agrees. Mappings are compared key by key in the order of ``expected``, everything else as a whole.
    """
    if not isinstance(expected, Mapping):
        return None if found == expected else (name, found, expected)
    for key, value in expected.items():
        field = f"{name}.{key}" if name else str(key)
        if not isinstance(found, Mapping) or key not in found:
            return field, None, value
        difference = first_difference(found[key], value, field)
        if difference is not None:
            return difference
    if isinstance(found, Mapping) and (extra := sorted(set(found) - set(expected))) and name:
        return f"{name}.{extra[0]}", found[extra[0]], None
    return None


def require_match(path: Path, found: Mapping[str, Any], expected: Mapping[str, Any]) -> None:
    """Refuse a result whose manifest does not say what is expected of it.

    Raises:
        ResultError: Naming the first field that differs, both values and the remedy.
    """
    difference = first_difference(found, expected)
    if difference is not None:
        name, value, wanted = difference
        raise ResultError(
            f"{path}: does not belong here: {name} is {value!r}, expected {wanted!r}; delete its folder and run again"
        )
