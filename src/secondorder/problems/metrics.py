"""The metrics that problems are judged by: sums over samples, with what tables and figures say of them."""

from collections.abc import Callable
from dataclasses import dataclass

import torch

from secondorder.metric import MetricDescription


@dataclass(frozen=True, kw_only=True)
class Metric(MetricDescription):
    """A metric and how it is computed; its value over a split is the mean over the samples.

    Attributes:
        total: Maps outputs and targets of a batch to the sum over its samples, a 0-dimensional tensor.
    """

    total: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


def _correct(outputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    return (outputs.argmax(dim=1) == labels).sum()


def _squared_error_of_logits(outputs: torch.Tensor, pixels: torch.Tensor) -> torch.Tensor:
    return (outputs.sigmoid() - pixels).double().square().sum()


ACCURACY = Metric(
    name="accuracy",
    label="accuracy",
    error_label="error",
    higher_is_better=True,
    high=1.0,
    factor=100.0,
    unit="%",
    total=_correct,
)
"""The share of samples whose largest output is that of their label; shown in percent."""

SQUARED_RECONSTRUCTION_ERROR = Metric(
    name="squared_error",
    label="squared error per image",
    error_label="squared error",
    higher_is_better=False,
    total=_squared_error_of_logits,
)
"""‖σ(z) − x‖² of an image x in [0, 1] and its logits z, summed over pixels (Martens 2010)."""
