"""Orthonormal coordinates of the parameter directions that a Hessian can see.

C: dθ ↦ (u, v) has a row space of few dimensions. For a linear layer with inputs h̃_i and deltas δ_i it holds the
matrices dW̃ = [dW, db] of which U_δᵀ dW̃ or dW̃ U_h is not zero, U_h and U_δ orthonormal bases of the spans of h̃_i and
δ_i. With D an orthonormal complement of U_δ, every such matrix is U_δ A + D B U_hᵀ, and (A, B) are orthonormal
coordinates: the Hessian's nonzero eigenvalues are those of K in these coordinates, without a division by ‖δ‖, which
vanishes on fitted samples. A layer has at most as many coordinates as parameters. Derived in docs/methods.md.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from secondorder.curvature.activation_hessian import ActivationHessian, ActivationLayer
from secondorder.curvature.layers import Layer


@dataclass
class LayerCoordinates:
    """Orthonormal coordinates of one linear layer, for each of G groups.

    Attributes:
        activations: The layer's activations.
        input_basis: U_h, shape [G, n_in', r_h].
        rotation: [U_δ, D], shape [G, n_out, n_out]; None for the identity, where the layer is not coupled.
        delta_rank: The number r_δ of columns of U_δ; 0 where the layer is not coupled.
    """

    activations: ActivationLayer
    input_basis: torch.Tensor
    rotation: torch.Tensor | None
    delta_rank: int

    @classmethod
    def of(cls, activations: ActivationLayer) -> "LayerCoordinates":
        """Return the coordinates of a layer's activations."""
        inputs = activations.inputs.flatten(1, 2)
        groups, rows, features = inputs.shape
        if rows >= features:
            basis = torch.eye(features, dtype=inputs.dtype, device=inputs.device).expand(groups, -1, -1)
        elif rows == 1:
            basis = _unit(inputs).mT
        else:
            basis = torch.linalg.qr(inputs.mT).Q
        if not activations.coupled:
            return cls(activations, basis, None, 0)
        deltas = activations.deltas.flatten(1, 2)
        rank = min(deltas.shape[1:])
        return cls(activations, basis, torch.linalg.qr(deltas.mT, mode="complete").Q, rank)

    @property
    def layer(self) -> Layer:
        """The layer."""
        return self.activations.layer

    @property
    def size(self) -> int:
        """r_l, the number of coordinates."""
        features, rank = self.input_basis.shape[1:]
        return self.delta_rank * features + (self.layer.output_features - self.delta_rank) * rank

    def coordinates_of(self, matrix: torch.Tensor) -> torch.Tensor:
        """Return (A, B) of dW̃, shape [G, …, r_l], from dW̃ of shape [G, …, n_out, n_in']."""
        rotation, basis = self._for(matrix.ndim)
        turned = matrix if rotation is None else rotation.mT @ matrix
        seen, rest = turned[..., : self.delta_rank, :], turned[..., self.delta_rank :, :] @ basis
        return torch.cat([seen.flatten(-2), rest.flatten(-2)], dim=-1)

    def matrix_of(self, coordinates: torch.Tensor) -> torch.Tensor:
        """Return dW̃ = U_δ A + D B U_hᵀ, shape [G, …, n_out, n_in'], from coordinates of shape [G, …, r_l]."""
        rotation, basis = self._for(coordinates.ndim + 1)
        turned = torch.cat(
            [part if rank is None else part @ rank.mT for part, rank in self._parts(coordinates, basis)], dim=-2
        )
        return turned if rotation is None else rotation @ turned

    def mean_matrix(self, coordinates: torch.Tensor) -> torch.Tensor:
        """Return the mean over the groups of :meth:`matrix_of`, without one matrix per group."""
        if self.rotation is not None or self.input_basis.shape[2] > 1:
            return self.matrix_of(coordinates).mean(0)
        outer = coordinates.reshape(len(coordinates), -1).T @ self.input_basis.squeeze(2)
        return outer / len(coordinates)

    def pulled_back(self, u: torch.Tensor, v: torch.Tensor | None, *, sum_samples: bool = False) -> torch.Tensor:
        """Return Cᵀ (u, v) in these coordinates: those of Σ u h̃ᵀ + δ vᵀ over the uses.

        Args:
            u: Shape [G, S, R, uses · n_out], R rows of numbers.
            v: Shape [G, S, R, uses · n_in]; None for zeros, and ignored where the layer is not coupled.
            sum_samples: Sum over the S samples too.

        Returns:
            Shape [G, S, R, r_l], or [G, R, r_l] summed.
        """
        inputs, deltas = self.activations.inputs, self.activations.deltas
        uses, rank = inputs.shape[2], self.delta_rank
        if inputs.shape[1] * uses == 1:
            pulled = self._pulled_back_from_one_use(u, v)
            return pulled.squeeze(1) if sum_samples else pulled
        u = torch.unflatten(u, -1, (uses, -1))
        kept = "gra" if sum_samples else "gsra"
        if self.rotation is not None:
            u = u @ self.rotation[:, None, None]
        narrow = inputs @ self.input_basis[:, None]
        rest = torch.einsum(f"gsrma,gsmk->{kept}k", u[..., rank:], narrow).flatten(-2)
        if self.rotation is None:
            return rest
        seen = torch.einsum(f"gsrma,gsmk->{kept}k", u[..., :rank], inputs)
        if v is not None:
            turned = deltas @ self.rotation[:, None, :, :rank]
            features = self.layer.input_features
            seen[..., :features] += torch.einsum(f"gsma,gsrmk->{kept}k", turned, torch.unflatten(v, -1, (uses, -1)))
        return torch.cat([seen.flatten(-2), rest], dim=-1)

    def _pulled_back_from_one_use(self, u: torch.Tensor, v: torch.Tensor | None) -> torch.Tensor:
        """Return what :meth:`pulled_back` does where nothing is summed: outer products, several times faster."""
        rank = self.delta_rank
        narrow = self.activations.inputs @ self.input_basis[:, None]
        if self.rotation is None:
            return (u[..., None] * narrow[:, :, :, None]).flatten(-2)
        u = u @ self.rotation[:, None]
        rest = u[..., rank:, None] * narrow[:, :, :, None]
        seen = u[..., :rank, None] * self.activations.inputs[:, :, :, None]
        if v is not None:
            turned = self.activations.deltas @ self.rotation[:, None, :, :rank]
            seen[..., : self.layer.input_features] += turned[..., None] * v[..., None, :]
        return torch.cat([seen.flatten(-2), rest.flatten(-2)], dim=-1)

    def _for(self, dimensions: int) -> tuple[torch.Tensor | None, torch.Tensor]:
        """Return rotation and basis with singleton dimensions behind the groups, to broadcast."""
        shape = (slice(None), *(None,) * (dimensions - 3))
        return None if self.rotation is None else self.rotation[shape], self.input_basis[shape]

    def _parts(self, coordinates: torch.Tensor, basis: torch.Tensor) -> list[tuple[torch.Tensor, torch.Tensor | None]]:
        features, rank = self.input_basis.shape[1:]
        cut = self.delta_rank * features
        seen = torch.unflatten(coordinates[..., :cut], -1, (self.delta_rank, features))
        others = self.layer.output_features - self.delta_rank
        return [(seen, None), (torch.unflatten(coordinates[..., cut:], -1, (others, rank)), basis)]


def curvature_in_coordinates(hessian: ActivationHessian, layers: Sequence[LayerCoordinates]) -> torch.Tensor:
    """Return K in the orthonormal coordinates, shape [G, r, r]: its eigenvalues are the Hessian's nonzero ones.

    Args:
        hessian: The second derivatives.
        layers: The coordinates of its linear layers; the direct parameters follow them.
    """
    # K = X + Xᵀ with X = C_uᵀ (½ ∂²/∂ε², ∂²/∂ε∂ν) (C_u, C_v): the block by (ν, ν) is 0.
    width = hessian.within.shape[2]
    halved = torch.cat([hessian.within[..., :width] / 2, hessian.within[..., width:]], dim=-1)
    pulled = _columns(halved, layers).mT
    rows = [_pull(layer, pulled, sum_samples=True) for layer in layers]
    count = sum(layer.size for layer in layers)
    half = torch.cat(rows, dim=-1) if rows else hessian.within.new_zeros(len(hessian.direct), count, 0)
    of_activations = half + half.mT
    if hessian.direct.shape[1] == 0:
        return of_activations
    of_direct = _columns(hessian.mixed.transpose(1, 2), layers).sum(1)
    left = torch.cat([of_activations, of_direct], dim=1)
    right = torch.cat([of_direct.mT, hessian.direct], dim=1)
    return torch.cat([left, right], dim=2)


def _columns(numbers: torch.Tensor, layers: Sequence[LayerCoordinates]) -> torch.Tensor:
    """Return [G, S, R, n + q] numbers, or [G, S, R, n] with zeros for the rest, in coordinates, [G, S, R, r]."""
    pulled = [_pull(layer, numbers) for layer in layers]
    return torch.cat(pulled, dim=-1) if pulled else numbers[..., :0]


def _pull(layer: LayerCoordinates, numbers: torch.Tensor, *, sum_samples: bool = False) -> torch.Tensor:
    u, v = layer.activations.u, layer.activations.v
    across = numbers[..., slice(*v)] if v[1] <= numbers.shape[-1] else None
    return layer.pulled_back(numbers[..., slice(*u)], across, sum_samples=sum_samples)


def _unit(rows: torch.Tensor) -> torch.Tensor:
    """Return rows of unit length; a row of zeros becomes the first unit vector, which spans no more than it."""
    norms = rows.norm(dim=-1, keepdim=True)
    first = torch.zeros_like(rows)
    first[..., 0] = 1
    return torch.where(norms > 0, rows / torch.where(norms > 0, norms, 1), first)
