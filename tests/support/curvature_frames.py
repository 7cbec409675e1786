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


def full_hessian(verified=True, passed=True):
    """Eight eigenvalues, two of them negative and two zero but for rounding, of a network for three classes."""
    values = np.array([-2.0, -0.125, -1e-17, 1e-17, 0.25, 0.5, 4.0, 8.0])
    numbers = pd.DataFrame({"index": range(8), "eigenvalue": values}).assign(
        hidden="2",
        parameters=8,
        classes=3,
        images=1000,
        epochs=5,
        relative_residual=2e-15,
        orthogonality=1e-15,
        asymmetry=1e-16,
        trace_error=3e-15,
        norm_error=0.0,
        passed=passed,
        data_verified=verified,
    )
    parts = ("fit", "matrix", "eigenpairs", "certificate")
    timing = pd.DataFrame({"part": parts, "seconds": 1.0, "peak_memory_bytes": 2**20, "device": "cpu"})
    return numbers, timing.assign(data_verified=verified)


# Method, kind, effort, unit and the error of two Hessians; NaN: a method that gives no matrix, or refuses the network.
METHODS = (
    ("exact", "exact", np.nan, "", (0.0, 0.0)),
    ("no curvature", "structured", np.nan, "", (1.0, 1.0)),
    ("Lanczos", "iterative", 5.0, "products", (0.2, 0.4)),
    ("Lanczos", "iterative", 20.0, "products", (0.02, 0.04)),
    ("ARPACK, R-operator", "iterative", np.nan, "", (1e-15, 1e-15)),
    ("ARPACK, curvlinops", "iterative", np.nan, "", (1e-15, 1e-15)),
    ("Hutchinson trace", "stochastic", 2.0, "probes", (np.nan, np.nan)),
    ("K-FAC", "structured", np.nan, "", (0.5, np.nan)),
    ("L-BFGS", "structured", 10.0, "pairs", (30.0, 50.0)),
)


def of_methods(verified=True):
    """Yield what is common to rows of the comparison, with the error, for each share, seed and method."""
    for share in (0.0, 1.0):
        for method, kind, effort, unit, errors in METHODS:
            for seed, error in enumerate(errors):
                about = {"problem": "mnist_mlp", "run": "sgd", "seed": seed, "share": share, "sample": 0, "samples": 8}
                about |= {"method": method, "kind": kind, "effort": effort, "unit": unit, "data_verified": verified}
                yield about, error * (1 if share else 0.5)


def approximations(verified=True):
    """Errors of METHODS on two seeds; one Lanczos iteration did not converge, K-FAC refuses one network."""
    numbers, timing = [], []
    for about, error in of_methods(verified):
        cost = about["effort"] if about["effort"] > 0 else 100.0
        measures = (
            "leading_error",
            "largest_error",
            "negative_error",
            "density_distance",
            "matrix_error",
            "trace_error",
        )
        numbers.append(
            {
                **about,
                **dict.fromkeys(measures, error),
                "parameters": 50,
                "subspace_angle": 90 * error,
                "direction_cosine": 1 - error,
                "converged": (about["effort"], about["seed"]) != (5.0, 1),
                "certified": about["method"].startswith("ARPACK"),
                "residual": error / 10 if about["kind"] == "iterative" else np.nan,
                "truth_residual": 2e-14,
                "damping": 0.1,
                "gradient_equivalents": cost,
                "numbers": 10 * cost,
            }
        )
        timing.append({**about, "seconds": cost / 100, "memory_bytes": cost * 2**20})
    return pd.DataFrame(numbers), pd.DataFrame(timing)


def approximate_eigenvalues(verified=True):
    """The largest and the most negative eigenvalue, 10 and −1, which an error makes smaller; none of a refusal."""
    return pd.DataFrame(
        [
            {
                **about,
                "end": end,
                "index": 0,
                "exact": exact,
                "approximate": exact * (1 - error),
                "certified": about["method"].startswith("ARPACK"),
            }
            for about, error in of_methods(verified)
            for end, exact in (("largest", 10.0), ("negative", -1.0))
        ]
    )


def approximate_densities(verified=True):
    """A tenth of the eigenvalues in [1, 4] and a twentieth in [−4, −1] of each Hessian; the others are 0."""
    return pd.DataFrame(
        [
            {**about, "low": low, "high": high, "weight": weight}
            for about, error in of_methods(verified)
            for low, high, weight in ((-4.0, -1.0, 0.05), (-1e-12, 1e-12, 0.85), (1.0, 4.0, 0.1))
            if not np.isnan(error)
        ]
    )


def spectral_controls(verified=True):
    """A fault that is caught, with its sound counterpart."""
    return pd.DataFrame(
        [
            {
                "problem": "mnist_mlp",
                "samples": 32,
                "control": "half precision",
                "sound": sound,
                "check": "residual",
                "value": value,
                "tolerance": 1e-10,
                "caught": not sound,
                "data_verified": verified,
            }
            for sound, value in ((False, 3e-4), (True, 2e-15))
        ]
    )


def everything(**more):
    """Every table of the stage by name."""
    whole, parts = full_hessian(**more)
    numbers, timing = growth(**more)
    floors, costs = product_cost(**more)
    errors, seconds = approximations(**more)
    return {
        "exact_hessian": exact_hessian(**more),
        "growth": numbers,
        "growth_timing": timing,
        "product_error": product_error(**more),
        "product_cost": floors,
        "product_cost_timing": costs,
        "full_hessian": whole,
        "full_hessian_timing": parts,
        "spectrum": spectrum(**more),
        "directions": directions(**more),
        "sharpness": sharpness(**more),
        "approximations": errors,
        "approximations_timing": seconds,
        "approximate_eigenvalues": approximate_eigenvalues(**more),
        "approximate_densities": approximate_densities(**more),
        "spectral_controls": spectral_controls(**more),
    }
