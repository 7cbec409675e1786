"""The readers of all published file formats, in one place."""

from secondorder.data.cifar_reader import read_cifar10_archive, read_cifar10_batches
from secondorder.data.image_files import LabelledImages
from secondorder.data.mnist_reader import packaged_mnist_5k, read_idx, read_mnist, read_mnist_5k

__all__ = [
    "LabelledImages",
    "packaged_mnist_5k",
    "read_cifar10_archive",
    "read_cifar10_batches",
    "read_idx",
    "read_mnist",
    "read_mnist_5k",
]
