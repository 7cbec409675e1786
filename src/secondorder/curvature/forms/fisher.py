"""Fisher matrices of a batch: second moments of what single samples propagate back.

Source: Martens & Grosse 2015, section 2.2 (the Fisher matrix and labels drawn from the model); Kunstner, Hennig &
Balles 2019 (the empirical one is another matrix). Derived in docs/methods.md, sections "K-FAC and EKFAC" and
"Approximations of a Hessian".
"""

from collections.abc import Sequence

import torch
from torch import nn

from secondorder.curvature.activation_hessian import LossFunction
from secondorder.curvature.evaluation import TOLERANCE, Evaluation
from secondorder.curvature.flat_vectors import flattened
from secondorder.curvature.forms.low_rank import LowRankForm
from secondorder.curvature.layers import is_out_of_memory
from secondorder.curvature.output_cotangents import FisherType, output_cotangents
from secondorder.errors import CapabilityError, InputError


def fisher_form(
    model: nn.Module,
    loss: LossFunction,
    inputs: torch.Tensor,
    targets: torch.Tensor,
    kind: FisherType,
    draws: int = 1,
    seed: int = 0,
) -> LowRankForm:
    """Return F = E Σ_n J_nᵀ c_n c_nᵀ J_n, J_n = ∂z_n/∂θ, with the cotangents c_n of the outputs that ``kind`` names.

    Its rank is at most the number of samples times the number of cotangents of each. It is found by the singular values
    σ of the matrix A with A Aᵀ = F: their squares are its eigenvalues. Those of AᵀA would be the same, but small ones
    would lose half of their digits and their vectors the right angles between them.

    Args:
        model: The network, of which a sample alone has the same outputs as in its batch.
        loss: Maps outputs and targets to a 0-dimensional tensor.
        inputs: Inputs, batch first.
        targets: Targets, batch first.
        kind: ``mc``: the mean over ``draws`` of random cotangents, whose expectation is the Gauss-Newton matrix;
            ``type2``: that matrix itself; ``empirical``: the second moment of the samples' own gradients. See
            :func:`~secondorder.curvature.output_cotangents.output_cotangents`.
        draws: Random cotangents of each sample; ``mc`` alone has them.
        seed: Of these draws; torch's global generator stays where it is.

    Raises:
        InputError: Model and batch do not fit each other, or there is less than one draw.
        CapabilityError: What a sample propagates back depends on the others of its batch.
    """
    if draws < 1:
        raise InputError(f"draws is {draws}; it must be at least 1")
    evaluation = Evaluation.of(model, loss, inputs, targets, None)
    with torch.enable_grad(), evaluation.same_function():
        outputs = model(inputs)
    cotangents = output_cotangents(kind, loss, outputs, targets) if kind != "mc" else []
    if kind == "mc":
        with torch.random.fork_rng(devices=[outputs.device] if outputs.device.type == "cuda" else []):
            torch.manual_seed(seed)
            for _ in range(draws):
                (drawn,) = output_cotangents(kind, loss, outputs, targets)
                cotangents.append(drawn / draws**0.5)
    columns = _propagated(evaluation, cotangents)
    _check_samples_apart(evaluation, outputs, cotangents[0], columns)
    vectors, roots, _ = torch.linalg.svd(columns, full_matrices=False)
    return LowRankForm.of_significant(roots.square(), vectors)


def _propagated(evaluation: Evaluation, cotangents: Sequence[torch.Tensor]) -> torch.Tensor:
    """Return J_nᵀ c_n in columns, shape [P, k N]: those of all samples by the first cotangent come first."""
    rows: list[list[torch.Tensor]] = [[] for _ in cotangents]
    for sample in range(len(evaluation.inputs)):
        outputs = _outputs_alone(evaluation, sample)
        for number, cotangent in enumerate(cotangents):
            rows[number].append(_pulled_back(evaluation, outputs, cotangent[sample : sample + 1]))
    return torch.stack([row for of_cotangent in rows for row in of_cotangent], dim=1)


def _outputs_alone(evaluation: Evaluation, sample: int) -> torch.Tensor:
    with torch.enable_grad(), evaluation.same_function():
        try:
            outputs: torch.Tensor = evaluation.model(evaluation.inputs[sample : sample + 1])
        except (RuntimeError, ValueError) as error:
            if is_out_of_memory(error):
                raise
            raise CapabilityError(f"the model cannot be run on one sample alone: {error}; call model.eval()") from error
    return outputs


def _pulled_back(evaluation: Evaluation, outputs: torch.Tensor, cotangent: torch.Tensor) -> torch.Tensor:
    """Return Jᵀ c, shape [P]; the graph is kept."""
    pieces = torch.autograd.grad(outputs, evaluation.parameters, cotangent, retain_graph=True, materialize_grads=True)
    return flattened(pieces)


def _check_samples_apart(
    evaluation: Evaluation, outputs: torch.Tensor, cotangent: torch.Tensor, columns: torch.Tensor
) -> None:
    """Check that what the batch propagates back is the sum of what its samples do alone."""
    samples = columns[:, : len(outputs)]
    difference = float((_pulled_back(evaluation, outputs, cotangent) - samples.sum(1)).norm())
    if not difference <= TOLERANCE[columns.dtype] * float(samples.norm(dim=0).sum()):
        raise CapabilityError(
            "a sample alone propagates something else back than in its batch, so that the matrix is no second moment "
            "over samples; call model.eval(), or leave out the layer that couples samples"
        )
