"""Where data lies: the files of a prepared dataset, and the folder of dropped-in files."""

import os
from pathlib import Path

DROP_IN_VARIABLE = "SECONDORDER_DATA"


def prepared_files(folder: Path, dataset: str) -> tuple[Path, Path]:
    """Return the arrays' and the manifest's path of a dataset prepared in ``folder``."""
    return folder / f"{dataset}.npz", folder / f"{dataset}.json"


def drop_in_folder() -> Path | None:
    """Return the folder that the environment variable names, which is looked at before anything is downloaded."""
    named = os.environ.get(DROP_IN_VARIABLE)
    return Path(named) if named else None


def name_drop_in_folder(folder: str) -> None:
    """Name the folder for this process and those it starts."""
    os.environ[DROP_IN_VARIABLE] = folder
