"""Tables of the curvature stage to draw from, made by formula."""

import numpy as np
import pandas as pd

ACTIVATIONS = ("relu", "tanh", "gelu", "softplus")


def exact_hessian(verified=True):
    """A fresh case, a fitted one and a control with each activation; errors are 1e-15, 1e-13 and 0.1."""
    rows = []
    for samples, fitted, control, error, allowed in (
        (16, np.nan, "", 1e-15, 1e-12),
        (1, 1e-4, "", 1e-13, 1e-11),
        (1, np.nan, "one sign flipped", 0.1, 1e-12),
    ):
        for activation in ACTIVATIONS:
            rows.append(
                {
                    "network": "perceptron",
                    "activation": activation,
                    "loss": "cross_entropy",
                    "samples": samples,
                    "fitted": fitted,
                    "control": control,
                    "parameters": 100,
                    "rank": 20,
                    "eigenvalue_error": error,
                    "matrix_error": error / 10 if activation != "relu" else 0.0,
                    "direction_error": np.nan if control else error,
                    "tolerance": allowed,
                    "passed": control == "",
                    "data_verified": verified,
                }
            )
    # The controls are not the last rows of the table that the stage writes.
    return pd.DataFrame(rows[8:] + rows[:8])


def growth(verified=True, memory_limit=8 * 10_000**2):
    """Three sizes: the dense matrix is measured, left out, and does not fit."""
    numbers, timing = [], []
    for parameters, status in ((100, "measured"), (1000, "left out"), (100_000, "does not fit")):
        for method in ("exact", "dense"):
            said = "measured" if method == "exact" else status
            there = said == "measured"
            about = {"method": method, "width": 1, "parameters": parameters, "status": said, "data_verified": verified}
            seconds = parameters / 1e5 if there else np.nan
            numbers.append(
                {
                    **about,
                    "matrix_bytes": 8 * parameters**2,
                    "memory_limit_bytes": memory_limit,
                    "eigenvalue_error": 2e-15 if method == "exact" and parameters == 100 else np.nan,
                    "certificate": 1e-15 if method == "exact" else np.nan,
                }
            )
            timing.append(
                {
                    **about,
                    "seconds": seconds,
                    "fastest": seconds / 2,
                    "slowest": seconds * 2,
                    "memory_bytes": 2**20 * parameters if there else np.nan,
                }
            )
    return pd.DataFrame(numbers), pd.DataFrame(timing)


def spectrum(verified=True, runs=("sgd", "adam"), shares=(0.0, 1.0)):
    """Eigenvalues −2, −1, 0 (and as good as it), 1 and 4 of one sample and of a batch, at each share."""
    rows = [
        {
            "problem": problem,
            "run": run,
            "share": share,
            "kind": kind,
            "sample": sample,
            "samples": samples,
            "index": index,
            "eigenvalue": value,
            "data_verified": verified,
        }
        for problem in ("mnist_mlp", "other")
        for run in runs
        for share in shares
        for kind, sample, samples in (("sample", 0, 1), ("sample", 1, 1), ("batch", 0, 2))
        for index, value in enumerate((-2.0, -1.0, 0.0, 1e-14, 1.0, 4.0))
    ]
    return pd.DataFrame(rows)


def directions(verified=True, runs=("sgd", "adam")):
    """Two Hessians a moment; at the end one of the two plain directions goes up at damping 0.1."""
    rows = [
        {
            "problem": "mnist_mlp",
            "run": run,
            "share": share,
            "kind": kind,
            "sample": sample,
            "samples": samples,
            "rank": 10 * samples,
            "negative": 3 * samples + sample,
            "uphill": 0.1 + 0.2 * sample,
            "adjustment": adjustment,
            "damping": damping,
            "ascends": (adjustment, damping, share, sample) == ("newton", 0.1, 1.0, 1),
            "data_verified": verified,
        }
        for run in runs
        for share in (0.0, 1.0)
        for kind, samples in (("sample", 1), ("batch", 2))
        for sample in (0, 1)
        for adjustment in ("newton", "absolute")
        for damping in (0.0, 0.1)
    ]
    return pd.DataFrame(rows)


def sharpness(verified=True):
    """Three seeds of two runs on two problems; one seed diverged, one eigenvalue did not converge."""
    rows = []
    for problem in ("mnist_mlp", "other"):
        for place, run in enumerate(("sgd", "adam")):
            for seed in range(3):
                diverged = (problem, run, seed) == ("mnist_mlp", "adam", 2)
                lost = (problem, run, seed) == ("other", "sgd", 1)
                size = 1.0 + place + 0.1 * seed
                rows.append(
                    {
                        "problem": problem,
                        "run": run,
                        "seed": seed,
                        "status": "diverged" if diverged else "finished",
                        "images": 50,
                        "largest_eigenvalue": np.nan if diverged or lost else 10 * size,
                        "converged": None if diverged else not lost,
                        "trace": np.nan if diverged else 2000 * size,
                        "trace_method": None if diverged else "exact",
                        "loss_gap": np.nan if diverged else 0.1 * size,
                        "metric_gap": np.nan if diverged else 0.01 * size,
                        "data_verified": verified,
                    }
                )
    return pd.DataFrame(rows)


def product_error(verified=True, complex_error=1e-15):
    """A product of two methods with a step, of one without, and a control, for each network and dtype.

    The error of the complex step does not depend on the step but for the largest; the finite difference is best at
    1e-4, and refuses the smallest.
    """
    rows = []
    for network in ("perceptron", "convolutional", "recurrent"):
        for dtype, tolerance in (("float32", 2e-6), ("float64", 1e-14)):
            exact = complex_error if dtype == "float64" else 1e-7
            for method, step, control, error in (
                ("complex_step", 1e-2, "", 1e-3),
                ("complex_step", 1e-8, "", exact),
                ("complex_step", 1e-30, "", exact),
                ("finite_difference", 1e-2, "", 1e-3),
                ("finite_difference", 1e-4, "", 1e-5),
                ("finite_difference", 1e-8, "", 1e-1),
                ("finite_difference", 1e-30, "", np.nan),
                ("r_operator", np.nan, "", exact),
                ("forward_over_reverse", np.nan, "", exact),
                ("double_backward", np.nan, "", 0.0),
                ("double_backward", np.nan, "another point", 1e-4),
            ):
                rows.append(
                    {
                        "network": network,
                        "dtype": dtype,
                        "method": method,
                        "step": step,
                        "control": control,
                        "error": error,
                        "tolerance": tolerance,
                        "passed": error <= tolerance,
                        "data_verified": verified,
                    }
                )
    return pd.DataFrame(rows)


def product_cost(verified=True):
    """Two batch sizes and two widths; method k takes k gradients, at the largest sizes one more."""
    numbers, timing = [], []
    methods = ("complex_step", "r_operator", "forward_over_reverse", "double_backward", "finite_difference")
    for network in ("perceptron", "convolutional"):
        for batch_size, width in ((16, 64), (64, 64), (64, 32)):
            for place, method in enumerate(methods, start=1):
                about = {
                    "network": network,
                    "batch_size": batch_size,
                    "width": width,
                    "method": method,
                    "data_verified": verified,
                }
                time = 1.0 * place + (batch_size, width).count(64) // 2
                numbers.append({**about, "parameters": 100 * width, "floor": 0.5 * place})
                timing.append(
                    {
                        **about,
                        "gradient_seconds": 1e-3,
                        "gradient_memory_bytes": 2**20,
                        "time": time,
                        "fastest": 0.9 * time,
                        "slowest": 1.2 * time,
                        "construction": 2.0,
                        "memory": 1.5 * place,
                    }
                )
    return pd.DataFrame(numbers), pd.DataFrame(timing)


def everything(**more):
    """Every table of the stage by name."""
    numbers, timing = growth(**more)
    floors, costs = product_cost(**more)
    return {
        "exact_hessian": exact_hessian(**more),
        "growth": numbers,
        "growth_timing": timing,
        "product_error": product_error(**more),
        "product_cost": floors,
        "product_cost_timing": costs,
        "spectrum": spectrum(**more),
        "directions": directions(**more),
        "sharpness": sharpness(**more),
    }
