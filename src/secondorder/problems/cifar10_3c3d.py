"""Three convolutions and three dense layers on CIFAR-10, cross-entropy loss: 895,210 parameters.

Source of the layout, of the L2 coefficient and of the protocol of the tier ``paper`` (batches of 128, 100 epochs):
DeepOBS (Schneider, Balles & Hennig 2019), problem ``cifar10_3c3d``. The augmentation and the initialisation (torch's
default) are this project's.
"""

from dataclasses import dataclass

from torch import nn
from torch.nn import functional

from secondorder.data.augmentation import crop_and_flip
from secondorder.problems.problem import Problem
from secondorder.problems.regularization import RegularizationSettings, dropout_layers
from secondorder.settings import setting

DATASETS = ("cifar10",)


@dataclass(frozen=True)
class Settings(RegularizationSettings):
    """Settings of the network's training objective."""

    penalty: float = setting(0.002, "L2 coefficient on weights, not biases; 0.002 in DeepOBS.", at_least=0)
    augment: bool = setting(True, "Random crops (padding 4) and horizontal flips of the training images.")


def _pool() -> nn.Module:
    # ceil_mode lets the last window hang over the right and lower edge: 28-14, 12-6 and 6-3, TensorFlow's SAME padding.
    return nn.MaxPool2d(kernel_size=3, stride=2, ceil_mode=True)


def build(settings: Settings) -> Problem:
    """Return the problem, with torch's default initialisation."""

    def hidden(layer: nn.Module) -> list[nn.Module]:
        return [layer, nn.ReLU(), *dropout_layers(settings.dropout)]

    def network() -> nn.Module:
        return nn.Sequential(
            *hidden(nn.Conv2d(3, 64, kernel_size=5)),
            _pool(),
            *hidden(nn.Conv2d(64, 96, kernel_size=3)),
            _pool(),
            *hidden(nn.Conv2d(96, 128, kernel_size=3, padding=1)),
            _pool(),
            nn.Flatten(),
            *hidden(nn.Linear(1152, 512)),
            *hidden(nn.Linear(512, 256)),
            nn.Linear(256, 10),
        )

    return Problem(
        network=network,
        loss=functional.cross_entropy,
        penalty=settings.penalty,
        decoupled_decay=settings.decoupled_decay,
        augmentation=crop_and_flip if settings.augment else None,
    )
