"""Networks small enough that their Hessian can also be had the slow way, and real images small enough for them."""

from collections.abc import Callable, Sequence

import torch
from torch import nn
from torch.nn import functional

from secondorder.data.dataset import Dataset
from secondorder.errors import ResultError
from secondorder.problems.activations import ACTIVATIONS, ActivationName
from secondorder.training.batches import DeviceSplit, evenly_spaced

SIDE = 8
"""Pixels along each side of the images."""

CLASSES = 10
_FIT_STEP = 0.02
_FIT_STEPS = 5000


def small_images(dataset: Dataset, samples: int, side: int = SIDE) -> tuple[torch.Tensor, torch.Tensor]:
    """Return real training images of few pixels and one channel, and their labels.

    They are evenly spaced over the training split, normalised as training sees them, averaged over their channels and
    over the pixels that fall into one.

    Args:
        dataset: The data.
        samples: How many.
        side: Pixels along each side.

    Returns:
        Images, shape (samples, 1, side, side), float64, and labels, shape (samples,).
    """
    images, labels = training_samples(dataset, evenly_spaced(samples, len(dataset.train_labels)))
    return functional.adaptive_avg_pool2d(images.mean(dim=1, keepdim=True), side), labels


def training_samples(
    dataset: Dataset, indices: torch.Tensor, *, reconstruct: bool = False
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return training images as training sees them, but in float64 and not augmented, and their targets.

    Args:
        dataset: The data.
        indices: Which images.
        reconstruct: Whether the images are their own targets, in float64 as well; otherwise targets are labels.
    """
    split = DeviceSplit(dataset.train_images, dataset.train_labels, dataset, torch.device("cpu"))
    inputs, targets = split.examples(*split.subset(indices), reconstruct=reconstruct)
    return inputs.double(), targets.double() if reconstruct else targets


def perceptron(hidden: Sequence[int], activation: ActivationName) -> nn.Module:
    """Return a perceptron on the images, with an activation after each hidden layer."""
    layers: list[nn.Module] = [nn.Flatten()]
    width = SIDE * SIDE
    for size in hidden:
        layers += [nn.Linear(width, size), ACTIVATIONS[activation]()]
        width = size
    return nn.Sequential(*layers, nn.Linear(width, CLASSES)).double()


def convolutional(hidden: Sequence[int], activation: ActivationName) -> nn.Module:
    """Return a network of two convolutions, max- and average-pooling and two dense layers on the images.

    Args:
        hidden: The last is the width of the hidden dense layer.
        activation: After every layer but the last.
    """
    return nn.Sequential(
        nn.Conv2d(1, 3, kernel_size=3, padding=1),
        ACTIVATIONS[activation](),
        nn.MaxPool2d(2),
        nn.Conv2d(3, 4, kernel_size=3, padding=1),
        ACTIVATIONS[activation](),
        nn.AvgPool2d(2),
        nn.Flatten(),
        nn.Linear(16, hidden[-1]),
        ACTIVATIONS[activation](),
        nn.Linear(hidden[-1], CLASSES),
    ).double()


NETWORKS: dict[str, Callable[[Sequence[int], ActivationName], nn.Module]] = {
    "perceptron": perceptron,
    "convolutional": convolutional,
}


def initialised(build: Callable[[], nn.Module], seed: int) -> nn.Module:
    """Return a network in evaluation mode, drawn with a seed; the random number generator is left as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return build().eval()


def squared_error(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Return the mean over samples and classes of the squared difference to the one-hot ``targets``."""
    return functional.mse_loss(outputs, targets)


LOSSES: dict[str, Callable[[torch.Tensor, torch.Tensor], torch.Tensor]] = {
    "cross_entropy": functional.cross_entropy,
    "mean_squared_error": squared_error,
}


def targets_for(loss: str, labels: torch.Tensor) -> torch.Tensor:
    """Return labels in the form that a loss of :data:`LOSSES` takes: one-hot in float64 for the squared error."""
    return functional.one_hot(labels, CLASSES).double() if loss == "mean_squared_error" else labels


def residuals(model: nn.Module, inputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Return 1 − p_y of each sample, p_y the probability that the network's softmax gives to its label; shape (B,).

    It is summed over the other classes, because a difference to 1 has no digits left on a fitted sample.
    """
    with torch.no_grad():
        outputs = model(inputs)
    others = outputs.scatter(1, labels[:, None], -torch.inf)
    share: torch.Tensor = (others.logsumexp(1) - outputs.logsumexp(1)).exp()
    return share


def fit(model: nn.Module, inputs: torch.Tensor, labels: torch.Tensor, residual: float) -> None:
    """Train a network in place until 1 − p_y of every sample is at most ``residual``.

    Steps are along the gradient and all of one length, so that 1 − p_y falls exponentially although the gradient does.

    Raises:
        ResultError: It is not there after 5,000 steps.
    """
    optimizer = torch.optim.SGD(model.parameters(), lr=_FIT_STEP)
    for _ in range(_FIT_STEPS):
        if float(residuals(model, inputs, labels).max()) <= residual:
            return
        optimizer.zero_grad()
        functional.cross_entropy(model(inputs), labels).backward()  # type: ignore[no-untyped-call]
        length = nn.utils.get_total_norm([p.grad for p in model.parameters() if p.grad is not None])
        for parameter in model.parameters():
            if parameter.grad is not None:
                parameter.grad /= length
        optimizer.step()
    raise ResultError(
        f"curvature.exact_hessian.fitted: 1 - p_y did not reach {residual:g} in {_FIT_STEPS} steps; give a larger one"
    )
