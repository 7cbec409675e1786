"""Steps of Newton-Krylov to draw and tabulate, made by formula."""

import pandas as pd

from secondorder.presentation import Context

CONTEXT = Context(
    labels={"sgd": "SGD", "krylov": "Newton-Krylov", "capped": "Few products", "variant": "Variant"},
    targets={"mnist_mlp": 0.9},
    confidence=0.95,
    exclusive=True,
    optimizers={"sgd": "sgd", "krylov": "newton_krylov", "capped": "newton_krylov", "variant": "newton_krylov"},
    problem="mnist_mlp",
    studies={"study": ["krylov", "variant"]},
)
NAMES = ["converged", "disturbed", "disturbed", "capped"]


def krylov_tables(runs=("krylov", "capped", "variant"), verified=True, problem="mnist_mlp", **columns):
    """Eighty steps of two seeds of each run.

    Of four steps one takes 2 products and converges, two are disturbed after 4, and one is capped at 6 and rejected.
    The loss falls by half of what is predicted, but rises where the step is rejected.
    """
    rows = []
    for run in runs:
        for seed in (0, 1):
            for step in range(1, 81):
                kind = step % 4
                rows.append(
                    {
                        "problem": problem,
                        "run": run,
                        "seed": seed,
                        "step": step,
                        "epoch": 0.1 * step,
                        "gradient_equivalents": 10.0 * step,
                        "krylov_products": (2.0, 4.0, 4.0, 6.0)[kind],
                        "krylov_end": NAMES[kind],
                        "smallest_curvature": -0.1,
                        "largest_curvature": 2.0,
                        "predicted_change": -0.1 / step,
                        "actual_change": 0.1 if kind == 3 else -0.05 / step,
                        "taylor_error": 2.0 if kind == 3 else 0.5,
                        "step_size": 0.0 if kind == 3 else 0.25,
                        **columns,
                    }
                )
    seeds = pd.DataFrame({"problem": [problem], "run": ["krylov"], "seed": [0], "data_verified": [verified]})
    return {"krylov": pd.DataFrame(rows), "seeds": seeds}
