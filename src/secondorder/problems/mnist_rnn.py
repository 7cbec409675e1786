"""A recurrent network that reads an MNIST image row by row, cross-entropy loss of the last state.

28 steps of 28 pixels (the row-wise form of the sequence of pixels of Le, Jaitly & Hinton 2015). With 128 units the tanh
cell has 21,386 parameters and the LSTM (Hochreiter & Schmidhuber 1997, with the forget gate of Gers et al. 2000)
81,674. Cells are written with :class:`torch.nn.Linear`, whose products with the Hessian every method has; the
recurrent map has no bias, because the input's serves both.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import nn
from torch.nn import functional

from secondorder.problems.problem import Problem
from secondorder.settings import DeclaredSettings, setting

DATASETS = ("mnist", "mnist_5k")
CellName = Literal["tanh", "lstm"]


@dataclass(frozen=True)
class Settings(DeclaredSettings):
    """Settings of the recurrent network."""

    cell: CellName = setting("tanh", "`tanh`: h ← tanh(W x + U h + b); `lstm`: with input, forget and output gates.")
    hidden: int = setting(128, "Units of the state.", at_least=1)


class _TanhCell(nn.Module):
    """h_t = tanh(W x_t + b + U h_{t−1}) from h_0 = 0; returns the last state."""

    def __init__(self, inputs: int, hidden: int) -> None:
        super().__init__()
        self.input = nn.Linear(inputs, hidden)
        self.recurrent = nn.Linear(hidden, hidden, bias=False)

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        """Return the last state, shape (n, hidden), of rows of shape (n, steps, inputs)."""
        first, *others = self.input(rows).unbind(1)
        state = torch.tanh(first)
        for arriving in others:
            state = torch.tanh(arriving + self.recurrent(state))
        return state


class _LongShortTermCell(nn.Module):
    """c_t = σ(f) c_{t−1} + σ(i) tanh(g), h_t = σ(o) tanh(c_t), (i, f, g, o) = W x_t + b + U h_{t−1}; from 0."""

    def __init__(self, inputs: int, hidden: int) -> None:
        super().__init__()
        self.input = nn.Linear(inputs, 4 * hidden)
        self.recurrent = nn.Linear(hidden, 4 * hidden, bias=False)

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        """Return the last state, shape (n, hidden), of rows of shape (n, steps, inputs)."""
        state = memory = rows.new_zeros(len(rows), self.recurrent.in_features)
        for arriving in self.input(rows).unbind(1):
            write, keep, candidate, read = (arriving + self.recurrent(state)).chunk(4, dim=1)
            memory = keep.sigmoid() * memory + write.sigmoid() * candidate.tanh()
            state = read.sigmoid() * memory.tanh()
        return state


_CELLS: dict[CellName, Callable[[int, int], nn.Module]] = {"tanh": _TanhCell, "lstm": _LongShortTermCell}


def build(settings: Settings) -> Problem:
    """Return the problem, with torch's default initialisation of linear layers."""

    def network() -> nn.Module:
        return nn.Sequential(
            nn.Flatten(1, 2), _CELLS[settings.cell](28, settings.hidden), nn.Linear(settings.hidden, 10)
        )

    return Problem(network=network, loss=functional.cross_entropy)
