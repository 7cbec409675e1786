"""What is propagated back from a network's outputs so that its second moment is a curvature.

For vectors c_n with E[c_n c_nᵀ] = ∇²_z L the gradients they propagate back have the Gauss-Newton matrix of the loss as
their second moment; where the loss is a negative log-likelihood of the exponential family this is the Fisher matrix.
Derived in docs/methods.md, section "K-FAC and EKFAC". ``mc`` draws c = M ε with ∇²_z L = M Mᵀ and random signs ε, as
curvature propagation does (Martens, Sutskever & Swersky 2012). Its second moment is that of gradients by labels drawn
from the model (Martens & Grosse 2015, section 2.2), and it needs no model of the labels.
"""

from typing import Literal

import torch

from secondorder.curvature.output_factors import has_closed_form, output_factors
from secondorder.problems.problem import Loss

FisherType = Literal["mc", "type2", "empirical"]


def output_cotangents(
    fisher: FisherType, loss: Loss, outputs: torch.Tensor, targets: torch.Tensor
) -> list[torch.Tensor]:
    """Return cotangents of the outputs, each of their shape: one, or for ``type2`` as many as a sample has outputs.

    Args:
        fisher: ``mc``: one random vector with the second moment ∇²_z L, drawn from torch's global generator.
            ``type2``: the columns of a root of ∇²_z L, so that there is no randomness. ``empirical``: √N ∇_z L, whose
            second moment is that of the samples' own gradients, where L is the mean of N samples' losses.
        loss: Maps outputs and targets to a 0-dimensional tensor.
        outputs: z, batch first; no graph is needed.
        targets: Targets, batch first.
    """
    outputs = outputs.detach()
    if fisher == "empirical":
        leaf = outputs.clone().requires_grad_()
        with torch.enable_grad():
            (gradient,) = torch.autograd.grad(loss(leaf, targets), leaf)
        return [gradient * len(outputs) ** 0.5]
    diagonal = None if has_closed_form(loss, outputs) else _diagonal_curvature(loss, outputs, targets)
    if diagonal is not None:
        root = diagonal.clamp(min=0).sqrt()
        if fisher == "mc":
            return [root * _signs(root)]
        columns = torch.eye(root[0].numel(), dtype=root.dtype, device=root.device)
        return [root * column.reshape(root[0].shape) for column in columns]
    factor = output_factors(loss, outputs, targets).factor
    if fisher == "mc":
        drawn = factor @ _signs(factor[:, 0, :])[..., None]
        return [drawn.reshape(outputs.shape)]
    return [column.reshape(outputs.shape) for column in factor.unbind(2)]


def _signs(like: torch.Tensor) -> torch.Tensor:
    return torch.randint(0, 2, like.shape, device=like.device).to(like.dtype) * 2 - 1


def _diagonal_curvature(loss: Loss, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor | None:
    """Return the diagonal of ∇²_z L where there is nothing else, as for squared errors; None for another loss.

    A diagonal matrix takes any vector to the vector times what it takes 1 to, and no other matrix takes a vector of
    irregular entries there.
    """
    leaf = outputs.clone().requires_grad_()
    with torch.enable_grad():
        (gradient,) = torch.autograd.grad(loss(leaf, targets), leaf, create_graph=True)
        if not gradient.requires_grad:
            return torch.zeros_like(outputs)
        irregular = torch.arange(1, outputs.numel() + 1, device=outputs.device).to(outputs).cos().reshape(outputs.shape)
        (diagonal,) = torch.autograd.grad(gradient, leaf, torch.ones_like(leaf), retain_graph=True)
        (image,) = torch.autograd.grad(gradient, leaf, irregular)
    allowed = 100 * torch.finfo(outputs.dtype).eps * diagonal.abs().max()
    return diagonal if bool(((image - diagonal * irregular).abs() <= allowed).all()) else None
