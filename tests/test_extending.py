"""The examples of docs/extending.md that are called whole do what the page says."""

import re
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch

from secondorder.training.objective import Objective
from secondorder.training.work import Work

PAGE = Path(__file__).resolve().parents[1] / "docs" / "extending.md"


def whole_examples() -> dict[str, str]:
    """Return the source of each whole module of the page, by the first word of its docstring."""
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)
    return {block.split()[0].strip('"'): block for block in blocks if "def build(" in block}


@pytest.fixture
def example(request, monkeypatch):
    """One example as a module."""
    module = ModuleType("example")
    monkeypatch.setitem(sys.modules, "example", module)
    exec(whole_examples()[request.param], module.__dict__)
    return module


@pytest.mark.parametrize("example", ["Sign"], indirect=True)
def test_the_optimizer_lowers_a_loss_and_leaves_frozen_parameters_alone(example):
    torch.manual_seed(0)
    model = torch.nn.Linear(3, 1)
    model.bias.requires_grad_(False)
    frozen = model.bias.clone()
    inputs = torch.randn(16, 3)
    targets = inputs @ torch.ones(3, 1)
    optimizer = example.build(model.parameters(), example.Settings(learning_rate=0.01))
    losses = [
        float(
            optimizer.step(Objective(model, torch.nn.functional.mse_loss, inputs, targets, Work(16)), 1.0).loss.detach()
        )
        for _ in range(50)
    ]
    assert losses[-1] < losses[0] / 2
    assert torch.equal(model.bias, frozen)


@pytest.mark.parametrize("example", ["Softmax"], indirect=True)
def test_the_problem_has_the_parameters_that_it_says(example):
    problem = example.build(example.Settings())
    network = problem.network()
    assert sum(parameter.numel() for parameter in network.parameters()) == 7_850
    assert problem.loss(network(torch.zeros(4, 1, 28, 28)), torch.zeros(4, dtype=torch.int64)).ndim == 0
