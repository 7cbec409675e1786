"""What a forward pass multiplies is counted as by hand, by a pass that leaves no trace."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from secondorder import optim
from secondorder.optim.forward_multiplications import forward_multiplications
from secondorder.training.objective import Objective
from secondorder.training.work import Work


class Scale(nn.Module):
    def __init__(self):
        super().__init__()
        self.factors = nn.Parameter(torch.ones(6))

    def forward(self, inputs):
        return inputs * self.factors


MODELS = {
    "dense": (nn.Sequential(nn.Linear(6, 4), nn.Tanh(), nn.Linear(4, 3)), (6,), 6 * 4 + 4 * 3),
    # 5 x 5 places, 3 channels to 2, 3 x 3 weights; then 50 numbers to 4.
    "convolution": (
        nn.Sequential(nn.Conv2d(3, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(50, 4)),
        (3, 7, 7),
        25 * 3 * 2 * 9 + 50 * 4,
    ),
    "a number per parameter where nothing is counted": (Scale(), (6,), 6),
}


@pytest.mark.parametrize(("model", "shape", "expected"), MODELS.values(), ids=MODELS)
def test_multiplications_are_those_counted_by_hand(model, shape, expected):
    work = Work(5)
    objective = Objective(model, functional.mse_loss, torch.randn(5, *shape), torch.zeros(5, 1), work)
    assert forward_multiplications(objective) == expected
    assert work.gradient_equivalents == 0


@pytest.mark.parametrize(
    ("name", "settings"), [("low_rank_newton", {"refresh": 2}), ("fosi", {"warm_up": 0, "refresh": 2})]
)
def test_batch_norm_moves_once_a_step_and_dropout_has_new_masks_in_the_next(name, settings):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.Tanh(), nn.Dropout(0.5), nn.Linear(8, 3))
    module = optim.load(name)
    optimizer = module.build(model.parameters(), module.Settings(learning_rate=1e-12, **settings))
    inputs, targets = torch.randn(5, 6), torch.zeros(5, 3)
    losses = []
    for step in range(1, 4):
        objective = Objective(model, functional.mse_loss, inputs, targets, Work(5))
        losses.append(float(optimizer.step(objective, 0.0).loss))
        assert int(model[1].num_batches_tracked) == step
    assert len(set(losses)) == 3
