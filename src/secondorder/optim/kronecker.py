"""Steps preconditioned by Kronecker-factored curvature: what K-FAC and EKFAC share.

Source: Martens & Grosse 2015: moving averages (section 5), damping by γ + λ, λ being the objective's penalty (section
6.3), periods (section 8; K-FAC's inverses are also computed anew at each of the first three updates). The bound on a
step is that of Ba, Grosse & Martens 2017. Defined in docs/methods.md, section "K-FAC and EKFAC".

Parameters without Kronecker factors (of normalisations, embeddings, grouped convolutions and all other modules than
``Linear`` and ``Conv2d``, weights that are shared or computed from others, layers with a frozen parameter) are taken to
have curvature 1: their step is their gradient over 1 + γ + λ.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from secondorder.curvature.kronecker_factors import (
    Layer,
    LayerStatistics,
    Sharing,
    kronecker_layers,
    layer_statistics,
    recorded_calls,
)
from secondorder.curvature.kronecker_inverses import KroneckerBlock, block_state
from secondorder.curvature.output_cotangents import FisherType, output_cotangents
from secondorder.errors import CapabilityError
from secondorder.optim.forward_multiplications import forward_multiplications
from secondorder.optim.protocol import StepResult
from secondorder.settings import DeclaredSettings, setting
from secondorder.training.objective import Objective


@dataclass(frozen=True)
class KroneckerSettings(DeclaredSettings):
    """Settings that K-FAC and EKFAC share."""

    learning_rate: float = setting(0.1, "Step size η.", above=0)
    damping: float = setting(0.03, "γ, added to the curvature.", above=0)
    momentum: float = setting(0.9, "Momentum m: v ← m v + ν d; θ ← θ − η v.", at_least=0, below=1)
    decay: float = setting(
        0.95, "Decay of the moving averages; the k-th batch enters with at least the share 1/k.", at_least=0, below=1
    )
    factor_period: int = setting(1, "Steps from one batch that enters the moving averages to the next.", at_least=1)
    inverse_period: int = setting(20, "Steps from one inverse, or eigenbasis, to the next.", at_least=1)
    kl_clip: float = setting(
        0.001,
        "Bound κ on η² dᵀ (F + γ I) d, twice the change of the model in KL divergence: ν ≤ 1 shortens a direction d "
        "beyond it; 0 is no bound.",
        at_least=0,
    )
    fisher: FisherType = setting(
        "mc",
        "Whose second moment the curvature is. `mc`: of gradients propagated back from random outputs, one per sample; "
        "`type2`: of all outputs, at as many passes; `empirical`: of the samples' own gradients.",
    )
    sharing: Sharing = setting(
        "expand",
        "Factors of a weight that a sample uses more than once, as in a convolution: `expand` takes each use as a "
        "sample, `reduce` takes the mean of the inputs and the sum of the gradients.",
    )


class Kronecker:
    """Kronecker-factored steps over ``parameters``.

    Args:
        parameters: The parameters, all that the model trains.
        settings: The settings.
        block: The approximation of a layer's curvature.
    """

    def __init__(
        self, parameters: Iterable[torch.nn.Parameter], settings: KroneckerSettings, block: type[KroneckerBlock]
    ) -> None:
        self._parameters = [parameter for parameter in parameters if parameter.requires_grad]
        self._settings = settings
        self._block = block
        self._blocks: dict[str, KroneckerBlock] = {}
        self._velocity: list[torch.Tensor] | None = None
        self._step = 0
        self._updates = 0
        self._forward_multiplications = 0.0

    def step(self, objective: Objective, schedule_factor: float) -> StepResult:
        """Take one step; see the protocol.

        Raises:
            CapabilityError: No layer of the model has Kronecker factors, or one has an input without the batch in
                front.
        """
        settings = self._settings
        damping = settings.damping + objective.penalty
        layers = kronecker_layers(objective.model)
        try:
            loss, gradients = self._gradients(objective, layers, damping)
        except torch.linalg.LinAlgError:  # type: ignore[attr-defined]
            # Numbers that are not finite have no eigenvectors. Parameters of NaN end training as diverged.
            loss = objective.loss() * torch.nan
            gradients = [torch.full_like(parameter, torch.nan) for parameter in self._parameters]
        self._step += 1
        learning_rate = settings.learning_rate * schedule_factor
        with torch.no_grad():
            directions = self._directions(objective, gradients, layers, damping)
            products = zip(gradients, directions, strict=True)
            norm = torch.stack([(gradient * direction).sum() for gradient, direction in products]).sum()
            shortened = clip_factor(learning_rate**2 * norm, settings.kl_clip)
            self._move([shortened * direction for direction in directions], learning_rate)
        return StepResult(loss, {"kl_clip_factor": shortened})

    def state_dict(self) -> dict[str, Any]:
        """Return factors, inverses or eigenbases, velocity, and how many steps and updates there were."""
        return {
            "blocks": {name: block_state(block) for name, block in self._blocks.items()},
            "velocity": self._velocity,
            "step": self._step,
            "updates": self._updates,
            "forward_multiplications": self._forward_multiplications,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over a state."""
        device = self._parameters[0].device
        self._blocks = {
            name: self._block(**{key: tensor.to(device) for key, tensor in tensors.items()})
            for name, tensors in state["blocks"].items()
        }
        velocity = state["velocity"]
        self._velocity = None if velocity is None else [piece.to(device) for piece in velocity]
        self._step = state["step"]
        self._updates = state["updates"]
        self._forward_multiplications = state["forward_multiplications"]

    def _gradients(
        self, objective: Objective, layers: Mapping[str, Layer], damping: float
    ) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """Return the objective and its gradients, and bring the blocks up to date where that is due."""
        settings = self._settings
        due = self._step > 0 and self._step % settings.inverse_period == 0
        if self._step % settings.factor_period:
            loss = objective.loss_and_gradient()
            gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in self._parameters]
        else:
            loss, gradients, statistics = self._gradients_and_statistics(objective, layers)
            self._update(objective, statistics, damping)
            due |= 1 < self._updates <= self._block.early_updates
        if due:
            for block in self._blocks.values():
                block.refresh(damping)
                self._count(objective, block.refresh_multiplications())
        return loss, gradients

    def _gradients_and_statistics(
        self, objective: Objective, layers: Mapping[str, Layer]
    ) -> tuple[torch.Tensor, list[torch.Tensor], dict[str, LayerStatistics]]:
        objective.work.count_gradient(len(objective.inputs))
        with torch.enable_grad(), objective.same_function(), recorded_calls(layers) as calls:
            outputs = objective.model(objective.inputs)
            loss = objective.of_outputs(outputs)
            gradients = torch.autograd.grad(loss, self._parameters, retain_graph=True, materialize_grads=True)
        if not calls:
            raise CapabilityError(
                f"{type(objective.model).__name__}: none of its modules is a Linear or Conv2d layer of one group with "
                "trainable parameters of its own that its forward pass calls, so there is nothing to precondition; "
                "use a first-order optimizer"
            )
        cotangents = output_cotangents(self._settings.fisher, objective.loss_function, outputs, objective.targets)
        statistics = layer_statistics(layers, calls, outputs, cotangents)
        if not self._forward_multiplications:
            self._forward_multiplications = forward_multiplications(objective)
        # Weights are left out on the way back: one product of matrices per layer, as forward.
        self._count(objective, len(cotangents) * len(objective.inputs) * self._forward_multiplications)
        return loss.detach(), list(gradients), statistics

    def _update(self, objective: Objective, statistics: Mapping[str, LayerStatistics], damping: float) -> None:
        settings = self._settings
        self._updates += 1
        kept = min(1 - 1 / self._updates, settings.decay)
        for name, each in statistics.items():
            if name in self._blocks:
                self._blocks[name].update(each, settings.sharing, kept)
            else:
                self._blocks[name] = self._block.of(each, settings.sharing, damping)
                self._count(objective, self._blocks[name].refresh_multiplications())
            self._count(objective, self._block.update_multiplications(each))

    def _directions(
        self,
        objective: Objective,
        gradients: Sequence[torch.Tensor],
        layers: Mapping[str, Layer],
        damping: float,
    ) -> list[torch.Tensor]:
        """Return what each gradient is preconditioned to."""
        places = {id(parameter): place for place, parameter in enumerate(self._parameters)}
        directions = [gradient / (1 + damping) for gradient in gradients]
        for name, block in self._blocks.items():
            weight = places[id(layers[name].weight)]
            bias = None if layers[name].bias is None else places[id(layers[name].bias)]
            joint = gradients[weight].flatten(1)
            if bias is not None:
                joint = torch.cat([joint, gradients[bias][:, None]], dim=1)
            solved = block.solve(joint, damping)
            self._count(objective, block.solve_multiplications())
            if bias is not None:
                directions[bias] = solved[:, -1]
                solved = solved[:, :-1]
            directions[weight] = solved.reshape(gradients[weight].shape)
        return directions

    def _move(self, directions: list[torch.Tensor], learning_rate: float) -> None:
        if self._settings.momentum:
            if self._velocity is not None:
                pairs = zip(directions, self._velocity, strict=True)
                directions = [direction.add(before, alpha=self._settings.momentum) for direction, before in pairs]
            self._velocity = directions
        for parameter, direction in zip(self._parameters, directions, strict=True):
            parameter.sub_(direction, alpha=learning_rate)

    def _count(self, objective: Objective, multiplications: float) -> None:
        objective.work.count_multiplications(multiplications, 3 * self._forward_multiplications)


def clip_factor(squared_norm: torch.Tensor, bound: float) -> torch.Tensor:
    """Return ν = min(1, √(κ / q)), by which a step is shortened to the squared norm κ, 0-dimensional.

    Args:
        squared_norm: q = η² dᵀ (F + γ I) d, which is η² times the gradient's product with d.
        bound: κ; 0 is no bound.
    """
    if not bound:
        return torch.ones_like(squared_norm)
    return (bound / squared_norm.clamp(min=torch.finfo(squared_norm.dtype).tiny)).sqrt().clamp(max=1)
