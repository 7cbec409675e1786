"""The best of the iterates that conjugate gradients pass through, as measured by the function itself.

Source: Martens 2010, section 4.6. The last iterate minimises the model best, and the function not always; an earlier
one is a shorter step, and asks less of the model.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from secondorder.errors import InputError
from secondorder.newton.krylov_solution import Iterate


@dataclass(frozen=True)
class SavedIterate:
    """A copy of an iterate.

    Attributes:
        number: The number of updates that made it.
        direction: d, shape [P].
        change: φ(d), the model's change with the damping of the iteration.
    """

    number: int
    direction: torch.Tensor
    change: float


class IterateSaver:
    """Copies the iterates i = ⌈γ^j⌉, j = 1, 2 …, so that n updates leave about log n copies.

    Args:
        growth: γ, above 1.

    Raises:
        InputError: γ is not above 1.
    """

    def __init__(self, growth: float) -> None:
        if not growth > 1:
            raise InputError(f"growth is {growth}; the numbers of the kept iterates grow by a factor above 1")
        self._growth = growth
        self._power = 1
        self._saved: list[SavedIterate] = []
        self._last: Iterate | None = None

    def see(self, iterate: Iterate) -> None:
        """Copy this iterate if it is one of those to keep."""
        self._last = iterate
        if iterate.number < math.ceil(self._growth**self._power):
            return
        self._saved.append(_copied(iterate))
        while math.ceil(self._growth**self._power) <= iterate.number:
            self._power += 1

    def saved(self) -> list[SavedIterate]:
        """Return the copies in their order, the last iterate of all among them; none where there was no iterate."""
        if self._last is None or (self._saved and self._saved[-1].number == self._last.number):
            return list(self._saved)
        return [*self._saved, _copied(self._last)]


def best_iterate(
    iterates: Sequence[SavedIterate], change: Callable[[torch.Tensor], float]
) -> tuple[SavedIterate, float]:
    """Go back from the last iterate while the function falls.

    Args:
        iterates: At least one, in their order.
        change: d ↦ f(θ + d) − f(θ), measured; it is asked once per iterate that is tried.

    Returns:
        The iterate before the first one that is no better, and its measured change.
    """
    best, lowest = iterates[-1], change(iterates[-1].direction)
    for iterate in reversed(iterates[:-1]):
        measured = change(iterate.direction)
        # The comparison also goes on from a change that is not a number.
        if measured >= lowest:
            break
        best, lowest = iterate, measured
    return best, lowest


def _copied(iterate: Iterate) -> SavedIterate:
    return SavedIterate(iterate.number, iterate.direction.clone(), iterate.change())
