"""Find files in the drop-in folder: the place where a user lays data that shall not or cannot be downloaded."""

from collections.abc import Sequence
from pathlib import Path

from secondorder.data.registry import RegisteredFile
from secondorder.errors import DataError

# Each data set may lie in the folder itself, in a folder of its own name, or as torchvision lays it.
_SUBFOLDERS = {
    "mnist": (".", "mnist", "MNIST/raw"),
    "cifar10_batches": (
        ".",
        "cifar10_batches",
        "cifar-10-batches-py",
        "cifar10/cifar-10-batches-py",
        "cifar10",
    ),
}

HOW_TO_NAME_THE_FOLDER = (
    "The folder is named by data.folder in the configuration or by the environment variable SECONDORDER_DATA."
)


def check_drop_in(folder: Path | None) -> None:
    """Refuse a drop-in folder that was named but does not exist, because the name is then most likely mistyped.

    Args:
        folder: The folder, or ``None`` when none was named.

    Raises:
        DataError: The folder does not exist or is not a folder.
    """
    if folder is not None and not folder.is_dir():
        found = "is not a folder" if folder.exists() else "does not exist"
        raise DataError(
            f"The data folder {folder} {found}. {HOW_TO_NAME_THE_FOLDER} Correct it, or unset it to download the data."
        )


def drop_in_candidates(registered: RegisteredFile, folder: Path) -> tuple[Path, ...]:
    """Return the files of the drop-in folder that may be the registered one, in the order of preference.

    Args:
        registered: The file that is looked for.
        folder: The drop-in folder.

    Returns:
        The paths that exist, possibly none.
    """
    paths = (subfolder / registered.file for subfolder in _subfolders(registered.dataset, folder))
    return tuple(path for path in paths if path.is_file())


def drop_in_folder_with(registered: Sequence[RegisteredFile], folder: Path) -> Path | None:
    """Return the first place in the drop-in folder that holds all of some files together, or ``None``.

    Args:
        registered: The files of one data set.
        folder: The drop-in folder.
    """
    for subfolder in _subfolders(registered[0].dataset, folder):
        if all((subfolder / entry.file).is_file() for entry in registered):
            return subfolder
    return None


def _subfolders(dataset: str, folder: Path) -> tuple[Path, ...]:
    return tuple(folder / subfolder for subfolder in _SUBFOLDERS.get(dataset, (".", dataset)))
