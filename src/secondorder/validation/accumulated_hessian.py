"""The whole Hessian of a mean loss over more images than pass through at once."""

import torch
from torch import nn

from secondorder.curvature.evaluation import Evaluation
from secondorder.curvature.forward_over_reverse import ForwardOverReverse
from secondorder.problems.problem import Loss

IMAGES_AT_ONCE = 500
_ROWS_AT_ONCE = 256


def accumulated_hessian(
    model: nn.Module,
    loss: Loss,
    inputs: torch.Tensor,
    targets: torch.Tensor,
    images_at_once: int = IMAGES_AT_ONCE,
    rows_at_once: int = _ROWS_AT_ONCE,
) -> torch.Tensor:
    """Return ∇²L, shape (P, P), in the order of ``parameters_to_vector``, symmetric but for rounding.

    Its rows are products with unit vectors, forward over reverse, many in one call.

    Args:
        model: The network; on the images' device and of their dtype.
        loss: Mean over a batch.
        inputs: Images, batch first.
        targets: Targets, batch first.
        images_at_once: Images of which products are taken at once; their Hessians are summed.
        rows_at_once: Products of a call. Beside the matrix the memory is that of both together.
    """
    count = sum(parameter.numel() for parameter in model.parameters())
    matrix = inputs.new_zeros(count, count)
    for part, wanted in zip(torch.split(inputs, images_at_once), torch.split(targets, images_at_once), strict=True):
        evaluation = Evaluation.of(model, loss, part, wanted, same_function=None)
        products = torch.func.vmap(ForwardOverReverse(evaluation, check=False))
        for start in range(0, count, rows_at_once):
            stop = min(start + rows_at_once, count)
            units = inputs.new_zeros(stop - start, count)
            units[:, start:stop].fill_diagonal_(1.0)
            matrix[start:stop] += len(part) / len(inputs) * products(units)
    return matrix
