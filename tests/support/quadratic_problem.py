"""A quadratic with a Hessian of one's own as the objective of a network: one layer whose weights are the parameters."""

import torch
from torch import nn

from secondorder import optim
from secondorder.training.objective import Objective
from secondorder.training.work import Work


def rotated(eigenvalues, seed=0):
    """A symmetric float64 matrix with these eigenvalues in random directions."""
    values = torch.as_tensor(eigenvalues, dtype=torch.float64)
    generator = torch.Generator().manual_seed(seed)
    directions = torch.linalg.qr(torch.randn(len(values), len(values), dtype=torch.float64, generator=generator)).Q
    matrix = directions @ torch.diag(values) @ directions.T
    return (matrix + matrix.T) / 2


class Quadratic:
    """f(w) = ½ wᵀHw + quartic/4 Σ w⁴, minimised by an optimizer from a start."""

    def __init__(self, matrix, start, name, quartic=0.0, **settings):
        self.matrix, self.quartic = matrix, quartic
        self.model = nn.Linear(len(matrix), 1, bias=False).double()
        with torch.no_grad():
            self.model.weight.copy_(start)
        module = optim.load(name)
        self.settings = module.Settings(**settings)
        self.optimizer = module.build(self.model.parameters(), self.settings)
        self.work = Work(len(matrix))

    @property
    def point(self):
        return self.model.weight.detach().flatten().clone()

    @property
    def gradient(self):
        return self.matrix @ self.point + self.quartic * self.point**3

    def loss(self, outputs, targets):
        weights = outputs[:, 0]
        squared = weights * weights
        return (weights * (self.matrix @ weights)).sum() / 2 + self.quartic / 4 * (squared * squared).sum()

    def step(self, factor=1.0):
        """How far one step moves the parameters."""
        before = self.point
        inputs = torch.eye(len(self.matrix), dtype=torch.float64)
        objective = Objective(self.model, self.loss, inputs, torch.zeros(len(inputs)), self.work)
        self.result = self.optimizer.step(objective, factor)
        return self.point - before
