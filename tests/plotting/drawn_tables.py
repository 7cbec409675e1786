"""Aggregated tables to draw from, made by formula."""

import math

import pandas as pd

from secondorder.presentation import Context
from secondorder.problems.metrics import ACCURACY

CONTEXT = Context(
    labels={"sgd": "SGD", "adam": "Adam", "lbfgs": "L-BFGS"},
    targets={"mnist_mlp": 0.9, "other": 0.5},
    confidence=0.95,
    exclusive=True,
    problem="mnist_mlp",
    metrics={"mnist_mlp": ACCURACY.to_mapping()},
)
COLUMNS = ["problem", "run", "metric", "evaluation", "epoch", "step", "gradient_equivalents", "seconds", "seeds"]
COLUMNS += ["mean", "ci_low", "ci_high"]


def curve_rows(run, evaluations=5, width=0.02, problem="mnist_mlp"):
    """The curves of a run; a width of NaN is that of a single seed."""
    rows = []
    for metric, sign in (("training_loss", -1), ("validation_accuracy", 1), ("validation_loss", -1)):
        for evaluation in range(evaluations):
            mean = 0.5 + sign * 0.08 * evaluation
            rows.append(
                {
                    "problem": problem,
                    "run": run,
                    "metric": metric,
                    "evaluation": evaluation,
                    "epoch": 1.0 * evaluation,
                    "step": 100.0 * evaluation,
                    "gradient_equivalents": 110.0 * evaluation,
                    "seconds": 0.5 * evaluation,
                    "seeds": 1 if math.isnan(width) else 3,
                    "mean": mean,
                    "ci_low": mean - width,
                    "ci_high": mean + 2 * width,
                }
            )
    return rows


def tables(curves, diverged=(), verified=True, runs=("sgd", "adam", "lbfgs")):
    """The tables that the figure reads, with three seeds per run of which one diverged for the runs named."""
    seeds = [
        {
            "problem": "mnist_mlp",
            "run": run,
            "seed": seed,
            "status": "diverged" if run in diverged and seed == 1 else "finished",
            "data_verified": verified,
        }
        for run in runs
        for seed in range(3)
    ]
    return {"curves": pd.DataFrame(curves, columns=COLUMNS), "seeds": pd.DataFrame(seeds)}
