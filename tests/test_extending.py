"""The examples of docs/extending.md that are called whole do what the page says."""

import re
import sys
from pathlib import Path
from types import ModuleType

import pandas as pd
import pytest
import torch

from secondorder.claims.ledger import judge_claims
from secondorder.claims.loading import load_claims
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


@pytest.fixture
def example_claim(tmp_path):
    """The claim of the page, from a folder of its own."""
    (block,) = re.findall(r"## A claim\n.*?```yaml\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)
    (tmp_path / "D1.yaml").write_text(block, encoding="utf-8")
    return load_claims(tmp_path)["D1"]


@pytest.mark.parametrize(
    ("seconds", "verdict"), [(4.0, "REPRODUCED"), (9.0, "DIRECTION-ONLY"), (20.0, "NOT-REPRODUCED")]
)
def test_the_claim_has_a_verdict(example_claim, seconds, verdict):
    rows = [
        {
            "problem": "mnist_mlp",
            "run": run,
            "seed": seed,
            "metric": "accuracy (%)",
            "test_error": 5 + 0.1 * (seed % 3),
            "validation_error": 5 + worse,
            "seconds_to_target": needed,
        }
        for run, worse, needed in (("sgd", 1, 12.0), ("adam", 0, 10.0), ("sophia", 0, seconds))
        for seed in range(10)
    ]
    _, verdicts = judge_claims([example_claim], {"outcomes": pd.DataFrame(rows)}, {}, {}, 0.95)
    assert verdicts["verdict"].tolist() == [verdict]
