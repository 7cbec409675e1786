"""The loss's curvature by the network's outputs, in factors: ∇²_z L = M Mᵀ and ∇_z L = M q.

Derived in docs/methods.md, section 1. For softmax cross-entropy with soft targets t, ∇²_z L = w (diag p − p pᵀ) and
∇_z L = w (p − t), so M = √w (diag √p − p √pᵀ) and q = −√w t / √p. A direction written in q does not subtract nearly
equal numbers, as it would in ∇_z L.
"""

from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from secondorder.curvature.activation_hessian import LossFunction, output_hessian


@dataclass(frozen=True)
class OutputFactors:
    """The factors of each sample's curvature by its C outputs.

    Attributes:
        factor: M, shape [B, C, k]: k = C − 1 for cross-entropy, whose curvature has this rank, and k = C otherwise.
        residual: q, shape [B, k].
        remainder: ∇_z L − M q, shape [B, C]; None where it is 0, as for cross-entropy and squared errors.
    """

    factor: torch.Tensor
    residual: torch.Tensor
    remainder: torch.Tensor | None


def output_factors(loss_fn: LossFunction, outputs: torch.Tensor, targets: torch.Tensor) -> OutputFactors:
    """Return the factors of the loss of a batch, by the outputs of each sample.

    Cross-entropy (the function, the module, or a ``functools.partial`` of the function) has the closed form above; any
    other loss is factored by its eigenvalues, of which negative ones are left out.

    Args:
        loss_fn: Maps outputs and targets to a 0-dimensional tensor.
        outputs: z, batch first.
        targets: Targets, batch first.
    """
    options = _cross_entropy_options(loss_fn)
    if options is not None and has_closed_form(loss_fn, outputs):
        return _of_cross_entropy(outputs, targets, options)
    curvature = output_hessian(outputs, loss_fn, targets, per_sample=False)
    leaf = outputs.detach().requires_grad_()
    with torch.enable_grad():
        (gradient,) = torch.autograd.grad(loss_fn(leaf, targets), leaf)
    gradient = gradient.reshape(len(outputs), -1)
    values, vectors = torch.linalg.eigh(curvature)
    noise = values.abs().amax() * torch.finfo(values.dtype).eps * values.shape[1]
    kept = values > noise
    roots = values.clamp(min=0).sqrt() * kept
    factor = vectors * roots[:, None, :]
    along = (vectors.mT @ gradient[..., None])[..., 0]
    residual = torch.where(kept, along / torch.where(kept, roots, 1), 0)
    remainder = gradient - (factor @ residual[..., None])[..., 0]
    # Numbers that are not finite are no remainder: they make a direction that is not finite.
    large = remainder.abs().max() > 1e3 * torch.finfo(values.dtype).eps * gradient.abs().max()
    return OutputFactors(factor, residual, remainder if large else None)


def has_closed_form(loss_fn: LossFunction, outputs: torch.Tensor) -> bool:
    """Return whether the factors have a closed form: those of a cross-entropy of one row of outputs per sample.

    Args:
        loss_fn: The loss.
        outputs: z, batch first.
    """
    return outputs.ndim == 2 and _cross_entropy_options(loss_fn) is not None


def _cross_entropy_options(loss_fn: LossFunction) -> dict[str, Any] | None:
    """Return weight, label_smoothing, reduction and ignore_index of a cross-entropy; None for another loss."""
    defaults = {"weight": None, "label_smoothing": 0.0, "reduction": "mean", "ignore_index": -100}
    if loss_fn is functional.cross_entropy:
        return defaults
    if type(loss_fn) is nn.CrossEntropyLoss:
        return {name: getattr(loss_fn, name) for name in defaults}
    if isinstance(loss_fn, partial) and loss_fn.func is functional.cross_entropy and not loss_fn.args:
        given = {**defaults, **loss_fn.keywords}
        return given if set(given) == set(defaults) else None
    return None


def _of_cross_entropy(outputs: torch.Tensor, targets: torch.Tensor, options: dict[str, Any]) -> OutputFactors:
    scale, soft_targets = _scaled_targets(outputs, targets, options)
    root = scale.sqrt()[:, None]
    log_probabilities = functional.log_softmax(outputs.detach(), dim=1)
    # An underflow to 0 would divide 0 by 0; its row of M is as good as 0 either way.
    half = (log_probabilities / 2).exp().clamp(min=torch.finfo(outputs.dtype).tiny ** 0.5)
    factor = torch.diag_embed(half) - log_probabilities.exp()[:, :, None] * half[:, None, :]
    residual = soft_targets / half
    # M √p = 0: a reflection takes √p to the unit vector of the likeliest class, whose column is then 0 and is left out.
    # Of any other class, 1/√p could be large and would spread over all columns.
    likeliest = half.argmax(dim=1, keepdim=True)
    mirror = half.scatter_add(1, likeliest, half.new_ones(len(half), 1))
    twice = 2 / mirror.square().sum(1, keepdim=True)
    factor = factor - (factor @ mirror[:, :, None]) * (twice * mirror)[:, None, :]
    residual = residual - (residual * mirror).sum(1, keepdim=True) * twice * mirror
    columns = torch.arange(outputs.shape[1] - 1, device=outputs.device)
    kept = columns + (columns >= likeliest)
    factor = factor.gather(2, kept[:, None, :].expand(-1, outputs.shape[1], -1))
    return OutputFactors(factor * root[..., None], -root * residual.gather(1, kept), None)


def _scaled_targets(
    outputs: torch.Tensor, targets: torch.Tensor, options: dict[str, Any]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return w of each sample, shape [B], and its soft targets t, which sum to 1, shape [B, C]."""
    classes = outputs.shape[1]
    weight = outputs.new_ones(classes) if options["weight"] is None else options["weight"].to(outputs)
    if targets.ndim == 1:
        counted = targets != options["ignore_index"]
        labels = torch.where(counted, targets, 0)
        hard = functional.one_hot(labels, classes).to(outputs)
        total = (weight[labels] * counted).sum()
    else:
        counted, hard, total = outputs.new_ones(len(outputs)), targets.to(outputs), outputs.new_tensor(len(outputs))
    smoothing = options["label_smoothing"]
    weighted = ((1 - smoothing) * hard + smoothing / classes) * weight
    scale = weighted.sum(1)
    soft_targets = weighted / torch.where(scale > 0, scale, 1)[:, None]
    scale = scale * counted
    return scale / total if options["reduction"] == "mean" else scale, soft_targets
