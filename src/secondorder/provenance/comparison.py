"""The first field in which two manifests differ: what may have caused a difference before what it shows in."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from secondorder.errors import InputError
from secondorder.provenance.manifest import first_difference
from secondorder.training.layout import TIMING

CAUSES = (
    "format_version",
    "tier",
    "specification",
    "configuration",
    "data",
    "code",
    "environment",
    "determinism",
    "device",
    "machine",
    "hardware",
)
"""Fields that decide a result, in the order in which they are compared.

Other fields are compared after these. The commit is the last: the code of a run has digests of its own, which most
commits leave as they are.
"""


@dataclass(frozen=True)
class Difference:
    """The first field in which two manifests differ.

    Attributes:
        field: Its name; that of a nested field with dots.
        first: Its value in the first manifest; None where it is missing.
        second: Its value in the second manifest, likewise.
    """

    field: str
    first: Any
    second: Any

    def __str__(self) -> str:
        """Return the field with both values."""
        return f"{self.field}: {self.first!r} and {self.second!r}"


def compare_manifests(
    first: Mapping[str, Any], second: Mapping[str, Any], *, causes_alone: bool = False
) -> Difference | None:
    """Return the first field in which two manifests differ in what a second execution repeats; None where they agree.

    Seconds and the files that hold them are left out. Seeds are fields of their own: ``seeds.0.status``.

    Args:
        first: The manifest of a run, or of a tier.
        second: A manifest of the same kind.
        causes_alone: Compare the fields of :data:`CAUSES` and no others.

    Raises:
        InputError: One is of a run and the other of a tier.
    """
    if is_of_tier(first) != is_of_tier(second):
        raise InputError("one manifest is of a run and the other of a whole tier; compare two of one kind")
    found, expected = _repeated(first), _repeated(second)
    for field in _in_order({*found, *expected}):
        if causes_alone and field not in CAUSES:
            continue
        if field not in expected:
            return Difference(field, found[field], None)
        if difference := first_difference(found, {field: expected[field]}):
            return Difference(*difference)
    return None


def is_of_tier(manifest: Mapping[str, Any]) -> bool:
    """Return whether a manifest is that of a whole tier; others are of a run."""
    return "runs" in manifest


def _in_order(fields: set[str]) -> list[str]:
    others = sorted(fields - {*CAUSES, "commit"})
    return [field for field in (*CAUSES, *others, "commit") if field in fields]


def _repeated(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a second execution repeats of a manifest."""
    if not is_of_tier(manifest):
        return _repeated_of_run(manifest)
    # A digest of the configuration and of manifests of runs says nothing that the fields themselves do not.
    kept = _without(manifest, "configuration_sha256")
    kept["runs"] = {
        problem: {run: _without(_repeated_of_run(record), "manifest_sha256") for run, record in runs.items()}
        for problem, runs in manifest["runs"].items()
    }
    kept["tables"] = {name: table for name, table in manifest.get("tables", {}).items() if not table["timed"]}
    return kept


def _repeated_of_run(manifest: Mapping[str, Any]) -> dict[str, Any]:
    kept = _without(manifest, "wall_seconds")
    if "files" in kept:
        kept["files"] = _without(kept["files"], TIMING)
    if "seeds" in kept:
        kept["seeds"] = {str(seed["seed"]): _without(seed, "seed") for seed in kept["seeds"]}
    return {field: kept[field] for field in _in_order({*kept})}


def _without(values: Mapping[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in values.items() if key != name}
