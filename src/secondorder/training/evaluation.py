"""Loss and accuracy of a network over a split, in evaluation mode."""

import torch
from torch import nn

from secondorder.problems.problem import Loss
from secondorder.training.batches import DeviceSplit, evenly_spaced

_BATCH_SIZE = 1000
TRAINING_SAMPLES = 10_000


@torch.no_grad()
def evaluate(model: nn.Module, loss: Loss, split: DeviceSplit, samples: int | None = None) -> tuple[float, float]:
    """Return the mean loss (without penalty) and the accuracy in [0, 1].

    Args:
        model: The network; its mode is left as it was.
        loss: Mean over a batch.
        split: The images.
        samples: Use only this many images, evenly spaced over the split; None for all.
    """
    was_training = model.training
    model.eval()
    indices = evenly_spaced(len(split) if samples is None else samples, len(split)).to(split.images.device)
    count = len(indices)
    total_loss = torch.zeros((), dtype=torch.float64, device=split.images.device)
    correct = torch.zeros((), dtype=torch.int64, device=split.images.device)
    for chosen in torch.split(indices, _BATCH_SIZE):
        images, labels = split.subset(chosen)
        outputs = model(split.normalise(images))
        total_loss += loss(outputs, labels).double() * len(labels)
        correct += (outputs.argmax(dim=1) == labels).sum()
    model.train(was_training)
    return float(total_loss) / count, int(correct) / count
