"""Random changes of a training batch, drawn per image on the device the batch is on."""

import torch
from torch.nn import functional

PADDING = 4


def crop_and_flip(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Pad each image by 4 zeros, cut a window of the original size at random, and mirror it with probability 1/2.

    The windows of all images are cut by one gather, because a loop over images costs more than the training step.

    Args:
        images: uint8 batch, shape (batch, channels, height, width).
        generator: Source of the draws, on the CPU, so that a seed means the same windows on every device.

    Returns:
        A new batch of the same shape and type.
    """
    batch, channels, height, width = images.shape
    device = images.device
    offsets = torch.randint(0, 2 * PADDING + 1, (2, batch), generator=generator).to(device)
    mirrored = (torch.rand(batch, generator=generator) < 0.5).to(device)
    rows = offsets[0, :, None] + torch.arange(height, device=device)
    columns = torch.arange(width, device=device).expand(batch, width)
    columns = offsets[1, :, None] + torch.where(mirrored[:, None], width - 1 - columns, columns)
    padded = functional.pad(images, (PADDING,) * 4)
    return padded[
        torch.arange(batch, device=device)[:, None, None, None],
        torch.arange(channels, device=device)[None, :, None, None],
        rows[:, None, :, None],
        columns[:, None, None, :],
    ]
