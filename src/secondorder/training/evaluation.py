"""Loss and metric of a network over a split, in evaluation mode."""

import torch
from torch import nn

from secondorder.problems.problem import Problem
from secondorder.training.batches import DeviceSplit, evenly_spaced

_BATCH_SIZE = 1000


@torch.no_grad()
def evaluate(model: nn.Module, problem: Problem, split: DeviceSplit, samples: int | None = None) -> tuple[float, float]:
    """Return the mean loss (without penalty) and the problem's metric, both means over the samples.

    Args:
        model: The network; its mode is left as it was.
        problem: Its loss and its metric.
        split: The images.
        samples: Use only this many images, evenly spaced over the split; None for all.
    """
    was_training = model.training
    model.eval()
    indices = evenly_spaced(len(split) if samples is None else samples, len(split)).to(split.images.device)
    count = len(indices)
    total_loss = torch.zeros((), dtype=torch.float64, device=split.images.device)
    total_metric = torch.zeros((), dtype=torch.float64, device=split.images.device)
    for chosen in torch.split(indices, _BATCH_SIZE):
        inputs, targets = split.examples(*split.subset(chosen), reconstruct=problem.reconstructs)
        outputs = model(inputs)
        total_loss += problem.loss(outputs, targets).double() * len(targets)
        total_metric += problem.metric.total(outputs, targets)
    model.train(was_training)
    return float(total_loss) / count, float(total_metric) / count
