"""A small run with snapshots."""

from secondorder.training.specification import RunSpecification


def specification(**changes):
    values = {
        "problem": "tiny",
        "problem_module": "mnist_mlp",
        "problem_settings": {"activation": "tanh", "hidden": "2-3"},
        "dataset": "synthetic",
        "run": "sgd",
        "optimizer": "sgd",
        "optimizer_settings": {"learning_rate": 0.1},
        "batch_size": 30,
        "unit_batch_size": 30,
        "budget_epochs": 2,
        "seeds": (3, 5),
        "device": "cpu",
        "snapshots": (0.0, 0.5, 1.0),
    }
    return RunSpecification(**{**values, **changes})
