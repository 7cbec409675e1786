"""A diagonal matrix."""

from dataclasses import dataclass

import torch

from secondorder.curvature.eigenbasis import Eigenbasis
from secondorder.curvature.forms.symmetric_form import (
    Spectrum,
    check_gradient,
    check_vectors,
    exact_pairs,
    leading_positions,
    saddle_free_quotient,
)


@dataclass(frozen=True)
class DiagonalForm:
    """M = diag(m).

    Attributes:
        entries: m, shape [P].
    """

    entries: torch.Tensor

    @property
    def size(self) -> int:
        """P."""
        return len(self.entries)

    @property
    def numbers(self) -> int:
        """P."""
        return self.entries.numel()

    def spectrum(self) -> Spectrum:
        """Return the entries."""
        return Spectrum.of(self.entries)

    def leading(self, count: int) -> Eigenbasis:
        """Return ``count`` entries of largest |m| with their unit vectors; see the protocol."""
        chosen = leading_positions(self.entries, count, self.size)
        vectors = self.entries.new_zeros(self.size, count)
        vectors[chosen, torch.arange(count, device=chosen.device)] = 1
        return exact_pairs(self.entries[chosen], vectors)

    def applied(self, vectors: torch.Tensor) -> torch.Tensor:
        """Return M V; see the protocol."""
        check_vectors(vectors, self.size)
        return self.entries[:, None] * vectors

    def direction(self, gradient: torch.Tensor, damping: float) -> torch.Tensor:
        """Return −(|M| + μ)⁻¹ g; see the protocol."""
        check_gradient(gradient, self.size)
        return -saddle_free_quotient(gradient, self.entries, damping)
