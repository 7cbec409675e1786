"""Tables of paths on analytic functions and of capabilities to draw from, made by formula."""

import numpy as np
import pandas as pd

RUNS = ("sgd", "adam", "lbfgs")
FUNCTIONS = {
    "valley": ("quadratic", 2, 100.0, np.nan),
    "steep": ("quadratic", 10, 100.0, np.nan),
    "steeper": ("quadratic", 10, 1e4, np.nan),
    "near": ("strict_saddle", 2, np.nan, 0.1),
    "nearer": ("strict_saddle", 2, np.nan, 1e-3),
}


def landscape_outcomes():
    """SGD reaches every minimum, Adam all but the steeper one's and leaves no near saddle, L-BFGS refuses all."""
    rows = []
    for function, (kind, dimension, condition, distance) in FUNCTIONS.items():
        for run in RUNS:
            refused = run == "lbfgs"
            missed = run == "adam" and function in ("steeper", "nearer")
            rows.append(
                {
                    "function": function,
                    "kind": kind,
                    "dimension": dimension,
                    "condition": condition,
                    "start_distance": distance,
                    "run": run,
                    "trials": 4,
                    "status": "refused" if refused else "missed" if missed else "reached",
                    "reason": "lbfgs: cannot; use adam" if refused else "",
                    "gradient_equivalents": np.nan if refused else 200.0 if missed else 40.0,
                    "escape": 9.0 if kind == "strict_saddle" and not (refused or missed) else np.nan,
                }
            )
    return pd.DataFrame(rows)


def trajectories():
    """Straight lines of five points from (1, 0.1) to (0, 1), for the runs that do not refuse."""
    shares = np.linspace(0, 1, 5)
    parts = [
        pd.DataFrame({"function": function, "run": run, "step": range(5), "x": 1 - shares, "y": 0.1 + 0.9 * shares})
        for function in FUNCTIONS
        for run in RUNS[:2]
    ]
    return pd.concat(parts, ignore_index=True)


def capabilities(verified=True):
    """Two problems: the first trains all runs, the second leaves out Adam, which could, and L-BFGS, which cannot."""
    rows = []
    for problem in ("mnist_mlp", "mnist_lenet5"):
        for run in RUNS:
            trained = problem == "mnist_mlp" or run == "sgd"
            refusal = "" if trained or run == "adam" else "module '0' is no linear layer; use adam"
            rows.append(
                {
                    "problem": problem,
                    "run": run,
                    "trained": trained,
                    "samples": 32,
                    "refusal": refusal,
                    "gradient_equivalents": np.nan if refusal else 31.25,
                    "data_verified": verified,
                }
            )
    return pd.DataFrame(rows)
