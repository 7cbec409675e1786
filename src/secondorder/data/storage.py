"""Store a prepared data set as one npz file and a manifest, and load it back only when the two agree."""

import hashlib
import json
import zipfile
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from secondorder.data.dataset import SPLITS, Dataset, FileProvenance, Provenance
from secondorder.errors import DataError
from secondorder.files import atomic_path, write_text

_ARRAYS = (*(f"{split}_{kind}" for split in SPLITS for kind in ("images", "labels")), "mean", "std")
_REMEDY = "Delete both files so that the data set is prepared again."


def save_dataset(dataset: Dataset, npz_path: Path, manifest_path: Path) -> None:
    """Write a data set's arrays (uncompressed, without pickles) and then the manifest that vouches for them.

    Args:
        dataset: The data set.
        npz_path: The file of arrays.
        manifest_path: The JSON file with counts, shapes, provenance and the digest of the arrays.
    """
    arrays = _arrays(dataset)
    with atomic_path(npz_path) as temporary, temporary.open("wb") as stream:
        np.savez(stream, allow_pickle=False, **arrays)
    write_text(manifest_path, json.dumps(_manifest(dataset, arrays), indent=2) + "\n")


def load_dataset(npz_path: Path, manifest_path: Path) -> Dataset:
    """Load a data set that :func:`save_dataset` wrote, after checking its arrays against the manifest's digest.

    Args:
        npz_path: The file of arrays.
        manifest_path: Its manifest.

    Returns:
        The data set.

    Raises:
        DataError: A file is missing or malformed, or the arrays are not those of the manifest.
    """
    manifest = _read_manifest(manifest_path)
    arrays = _read_arrays(npz_path)
    digest = arrays_digest(arrays)
    try:
        if digest != manifest["sha256"]:
            raise DataError(
                f"{npz_path}: the arrays have the digest {digest}, but {manifest_path} states {manifest['sha256']}. "
                f"{_REMEDY}"
            )
        return Dataset(
            name=manifest["name"],
            class_names=tuple(manifest["class_names"]),
            provenance=Provenance(
                files=tuple(FileProvenance(**file) for file in manifest["files"]), licence=manifest["licence"]
            ),
            **arrays,
        )
    except (KeyError, TypeError) as error:
        raise DataError(f"{manifest_path}: an entry is missing or misshapen ({error}). {_REMEDY}") from error


def arrays_digest(arrays: Mapping[str, NDArray[Any]]) -> str:
    """Return the SHA-256 sum over the arrays' names, types, shapes and bytes, in the alphabetical order of the names.

    Args:
        arrays: The arrays by name.
    """
    digest = hashlib.sha256(usedforsecurity=False)
    for name in sorted(arrays):
        array = arrays[name]
        little_endian = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
        digest.update(f"{name} {little_endian.dtype.str} {array.shape}\n".encode())
        digest.update(little_endian.data)
    return digest.hexdigest()


def dataset_digest(dataset: Dataset) -> str:
    """Return the digest of a data set's contents, wherever its files came from."""
    return arrays_digest(_arrays(dataset))


def _arrays(dataset: Dataset) -> dict[str, NDArray[Any]]:
    return {name: getattr(dataset, name) for name in _ARRAYS}


def _manifest(dataset: Dataset, arrays: Mapping[str, NDArray[Any]]) -> dict[str, Any]:
    return {
        "name": dataset.name,
        "counts": {split: len(arrays[f"{split}_labels"]) for split in SPLITS},
        "shapes": {name: list(array.shape) for name, array in arrays.items()},
        "mean": [float(value) for value in dataset.mean],
        "std": [float(value) for value in dataset.std],
        "class_names": list(dataset.class_names),
        "licence": dataset.provenance.licence,
        "verified": dataset.provenance.verified,
        "files": [asdict(file) for file in dataset.provenance.files],
        "sha256": arrays_digest(arrays),
    }


def _read_manifest(path: Path) -> dict[str, Any]:
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error}). {_REMEDY}") from error
    except ValueError as error:
        raise DataError(f"{path}: found no JSON, expected a data manifest ({error}). {_REMEDY}") from error
    if not isinstance(manifest, dict):
        raise DataError(f"{path}: found a JSON {type(manifest).__name__}, expected a data manifest. {_REMEDY}")
    return manifest


def _read_arrays(path: Path) -> dict[str, Any]:
    try:
        # The stream is opened here because numpy.load leaves its own open when the file is no archive.
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as archive:
            names = tuple(sorted(archive.files))
            if names != tuple(sorted(_ARRAYS)):
                raise DataError(f"{path}: found the arrays {names}, expected {tuple(sorted(_ARRAYS))}. {_REMEDY}")
            arrays = {name: archive[name] for name in _ARRAYS}
    except DataError:
        raise
    except (OSError, ValueError, TypeError, AttributeError, EOFError, zipfile.BadZipFile) as error:
        raise DataError(f"{path}: cannot be read as a file of arrays ({error}). {_REMEDY}") from error
    return arrays
