"""Names of the files that a prepared dataset lies in."""

from pathlib import Path


def prepared_files(folder: Path, dataset: str) -> tuple[Path, Path]:
    """Return the arrays' and the manifest's path of a dataset prepared in ``folder``."""
    return folder / f"{dataset}.npz", folder / f"{dataset}.json"
