"""A network so small that all of its Hessian can be written down, and the methods that are judged on it."""

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from secondorder.validation.approximation_methods import Batch, approximation_methods
from secondorder.validation.truth import Judgement

SIZE = 23
JUDGEMENT = Judgement(pairs=3, damping=0.1, products=400)
SETTINGS = {
    "pairs": JUDGEMENT.pairs,
    "lanczos_steps": [4, SIZE],
    "products": JUDGEMENT.products,
    "probes": [3],
    "quadrature_steps": 6,
    "fractions": [0.5],
    "ranks": [2],
    "draws": [2],
    "histories": [3],
}
METHODS = {f"{each.name} {each.effort:g}".removesuffix(" nan"): each for each in approximation_methods(SETTINGS)}


def network():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return nn.Sequential(nn.Linear(4, 3), nn.Tanh(), nn.Linear(3, 2)).double().eval()


def batch(model=None, samples=6):
    generator = torch.Generator().manual_seed(1)
    inputs = torch.randn(samples, 4, generator=generator, dtype=torch.float64)
    return Batch(model or network(), functional.cross_entropy, inputs, torch.arange(samples) % 2)


def dense_hessian_of(case):
    """The Hessian, by a backward pass through the gradient for each of its rows."""
    value = case.loss(case.model(case.inputs), case.targets)
    gradient = torch.cat([g.flatten() for g in torch.autograd.grad(value, case.parameters, create_graph=True)])
    rows = [torch.autograd.grad(entry, case.parameters, retain_graph=True) for entry in gradient]
    return np.array([np.concatenate([part.numpy().ravel() for part in row]) for row in rows])


def written_out(form):
    """All entries of a matrix that is kept in another form."""
    return form.applied(torch.eye(form.size, dtype=torch.float64)).numpy()


def leading_vectors(matrix, count):
    """Eigenvectors of the largest |eigenvalues|."""
    values, vectors = np.linalg.eigh(matrix)
    return vectors[:, np.argsort(-np.abs(values))[:count]]


def newton_direction(matrix, gradient, damping):
    values, vectors = np.linalg.eigh(matrix)
    return -vectors @ ((vectors.T @ gradient) / (np.abs(values) + damping))
