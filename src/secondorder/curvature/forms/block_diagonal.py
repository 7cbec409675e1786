"""A matrix of blocks, each between some of the parameters, and nothing else."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch

from secondorder.curvature.eigenbasis import Eigenbasis
from secondorder.curvature.forms.low_rank import LowRankForm
from secondorder.curvature.forms.symmetric_form import (
    Spectrum,
    SymmetricForm,
    check_gradient,
    check_vectors,
    exact_pairs,
    leading_positions,
)
from secondorder.errors import InputError

Block = tuple[torch.Tensor, SymmetricForm]


@dataclass(frozen=True)
class BlockDiagonalForm:
    """M with M[i_b, i_b] = M_b for blocks b, and 0 elsewhere.

    Attributes:
        size: P.
        blocks: For each block i_b, where its rows lie in the vector of all parameters, int64 of shape [p_b], in the
            order of the block's own rows; and M_b. There is at least one. Parameters in no block have curvature 0.

    Raises:
        InputError: There is no block, or positions do not fit a block, are out of range or lie in two blocks.
    """

    size: int
    blocks: Sequence[Block]

    def __post_init__(self) -> None:
        """Check that the blocks fit into the matrix and share no row."""
        if not self.blocks:
            raise InputError("a block-diagonal matrix has no blocks; give at least one")
        taken = torch.zeros(self.size, dtype=torch.int64)
        for number, (positions, form) in enumerate(self.blocks):
            if positions.shape != (form.size,):
                raise InputError(
                    f"block {number} has {form.size} rows and positions of shape {tuple(positions.shape)}; give one "
                    "position for each row"
                )
            if not bool(((positions >= 0) & (positions < self.size)).all()):
                raise InputError(f"block {number} has a position that is not from 0 to {self.size - 1}")
            taken += torch.bincount(positions.cpu(), minlength=self.size)
        if bool((taken > 1).any()):
            raise InputError(f"position {int(taken.argmax())} is given {int(taken.max())} times; blocks share no row")

    @property
    def numbers(self) -> int:
        """Those of all blocks."""
        return sum(form.numbers for _, form in self.blocks)

    def spectrum(self) -> Spectrum:
        """Return those of all blocks, and 0 for each parameter in no block."""
        spectra = [form.spectrum() for _, form in self.blocks]
        return Spectrum.joined([*spectra, *(form.spectrum() for _, form in self._elsewhere(spectra[0].values))])

    def leading(self, count: int) -> Eigenbasis:
        """Return ``count`` pairs of largest |λ| of all blocks; see the protocol."""
        found = [(positions, form.leading(min(count, form.size))) for positions, form in self.blocks if form.size]
        elsewhere = self._elsewhere(found[0][1].values)
        found += [(positions, form.leading(min(count, form.size))) for positions, form in elsewhere]
        candidates = torch.cat([pairs.values for _, pairs in found])
        chosen = leading_positions(candidates, count, self.size)
        vectors = candidates.new_zeros(self.size, count)
        start = 0
        for positions, pairs in found:
            own = torch.nonzero((chosen >= start) & (chosen < start + len(pairs.values))).flatten()
            vectors[positions[:, None], own] = pairs.vectors[:, chosen[own] - start]
            start += len(pairs.values)
        return exact_pairs(candidates[chosen], vectors)

    def applied(self, vectors: torch.Tensor) -> torch.Tensor:
        """Return M V; see the protocol."""
        check_vectors(vectors, self.size)
        image = torch.zeros_like(vectors)
        for positions, form in self.blocks:
            image[positions] = form.applied(vectors[positions])
        return image

    def direction(self, gradient: torch.Tensor, damping: float) -> torch.Tensor:
        """Return −(|M| + μ)⁻¹ g; see the protocol."""
        check_gradient(gradient, self.size)
        result = torch.zeros_like(gradient)
        for positions, form in [*self.blocks, *self._elsewhere(gradient)]:
            result[positions] = form.direction(gradient[positions], damping)
        return result

    @cached_property
    def _free_positions(self) -> torch.Tensor:
        """Where the parameters in no block are."""
        free = torch.ones(self.size, dtype=torch.bool, device=self.blocks[0][0].device)
        for positions, _ in self.blocks:
            free[positions] = False
        return torch.nonzero(free).flatten()

    def _elsewhere(self, like: torch.Tensor) -> list[Block]:
        """Return the parameters in no block as one of zeros, whose numbers look like those of a tensor."""
        count = len(self._free_positions)
        zeros = LowRankForm(like.new_zeros(0), like.new_zeros(count, 0))
        return [(self._free_positions, zeros)] if count else []
