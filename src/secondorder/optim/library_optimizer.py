"""Optimizers of the package pytorch-optimizer, which is imported when the first of them is built."""

import importlib
from collections.abc import Iterable
from typing import Any

import torch

from secondorder.errors import CapabilityError


def library_optimizer(name: str, parameters: Iterable[torch.nn.Parameter], **options: Any) -> torch.optim.Optimizer:
    """Return an optimizer of pytorch-optimizer over the parameters that require a gradient.

    Args:
        name: Its class.
        parameters: The parameters.
        options: Its own settings, by the library's names.

    Raises:
        CapabilityError: The package is not installed, or its class is not there or has other settings.
    """
    try:
        library = importlib.import_module("pytorch_optimizer")
    except ImportError as error:
        raise CapabilityError(
            f"{name} is taken from the package pytorch-optimizer, which cannot be imported ({error}); install it with "
            "'pip install \"pytorch-optimizer>=4.1,<5\"'"
        ) from error
    trained = [parameter for parameter in parameters if parameter.requires_grad]
    try:
        optimizer: torch.optim.Optimizer = getattr(library, name)(trained, **options)
    except (AttributeError, TypeError) as error:
        raise CapabilityError(
            f"{name} of the installed pytorch-optimizer is not that of version 4 ({error}); install "
            "'pytorch-optimizer>=4.1,<5'"
        ) from error
    return optimizer


def steps_taken(optimizer: torch.optim.Optimizer) -> int:
    """Return how many steps an optimizer of the library has taken, which it keeps in its state."""
    return int(optimizer.param_groups[0].get("step", 0))
