"""The multiplications of a network's forward pass, whatever its layers: the unit of work that is no gradient."""

import warnings

import torch
from torch.backends import cudnn, mkldnn
from torch.utils.flop_counter import FlopCounterMode

from secondorder.training.objective import Objective


def forward_multiplications(objective: Objective) -> float:
    """Return the multiplications in matrix products and convolutions of a forward pass over one sample.

    They are counted by PyTorch along one evaluation, which is no work of the method and is not counted as such. Fused
    recurrent layers, which PyTorch does not look into, are taken apart for it. A model without any has one for each
    parameter.

    Args:
        objective: The mini-batch objective, evaluated before, so that BatchNorm has moved.
    """
    with warnings.catch_warnings():
        # Setting a flag of oneDNN warns of Intel GPUs on machines that have none.
        warnings.simplefilter("ignore")
        with cudnn.flags(enabled=False), mkldnn.flags(enabled=False), FlopCounterMode(display=False) as counter:
            with torch.no_grad(), objective.same_function():
                objective.model(objective.inputs)
            operations = int(counter.get_total_flops())
    # A multiplication and an addition are two operations.
    return operations / 2 / len(objective.inputs) or float(sum(p.numel() for p in objective.parameters))
