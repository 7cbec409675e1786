"""What a model multiplies, counted while it runs: the unit for work that is not a gradient, loss or product."""

import torch
from torch.utils.flop_counter import FlopCounterMode

from secondorder.training.objective import Objective


def forward_multiplications(objective: Objective) -> float:
    """Return the multiplications of the forward pass over one sample, those of matrix products and convolutions.

    The model runs once for it, which is not counted as work. A model without any, or whose kernels PyTorch does not
    count, has one for each parameter.
    """
    with torch.no_grad(), objective.same_function(), FlopCounterMode(display=False) as counter:
        objective.model(objective.inputs)
    counted: float = counter.get_total_flops() / 2 / len(objective.inputs)
    return counted or float(sum(parameter.numel() for parameter in objective.parameters))
