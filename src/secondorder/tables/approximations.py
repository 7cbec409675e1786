"""What approximations of Hessians keep of them, and what they cost."""

from collections.abc import Mapping

import pandas as pd

from secondorder.presentation import Context, data_note
from secondorder.statistics.approximations import summarise_approximations, with_labels
from secondorder.tables.table import Table

_MEASURES = (
    "largest_error",
    "negative_error",
    "subspace_angle",
    "density_distance",
    "matrix_error",
    "trace_error",
    "direction_cosine",
)
_COSTS = ("gradient_equivalents", "numbers")
_ENDS = ("min", "max")


def build(tables: Mapping[str, pd.DataFrame], context: Context) -> Table:
    """Return the table of approximations at the end of training.

    Args:
        tables: The table ``approximations``.
        context: Gives the confidence level.
    """
    measured = tables["approximations"]
    last = measured[measured["share"] == measured["share"].max()]
    means = with_labels(summarise_approximations(last, ["problem"], [*_MEASURES, *_COSTS], context.confidence))
    residuals = last.groupby(["problem", "method", "effort"], dropna=False)["residual"].max().rename("residual")
    means = means.merge(residuals.reset_index(), on=["problem", "method", "effort"], how="left")
    renamed = {
        f"{name}_{end}": f"{name}_{new}" for name in _MEASURES for end, new in zip(("low", "high"), _ENDS, strict=True)
    }
    rows = means.rename(columns=renamed).drop(columns=["method", "effort", "unit", "kind"])
    columns = ["problem", "label", "hessians", "converged", "residual"]
    for name in _MEASURES:
        columns += [name, f"{name}_min", f"{name}_max"]
    rows = rows[[*columns, *_COSTS]].rename(columns={"label": "method"})
    samples, parameters = int(last["samples"].max()), int(last["parameters"].max())
    caption = (
        f"Approximations of the exact Hessians of batches of {samples} samples at the end of training, networks of up "
        f"to {parameters:,} parameters: relative error of the largest and of the most negative eigenvalues, largest "
        "angle between the leading eigenspaces (degrees), Wasserstein distance of the spectral densities (1: as far as "
        "a matrix of zeros), relative Frobenius error, error of the trace over the sum of |eigenvalue|, cosine of the "
        "damped Newton direction to the exact one. Means over runs, seeds and batches with "
        f"{context.confidence:.0%} confidence intervals in the CSV. Residual: the largest of claimed eigenpairs, "
        "relative, by independent products; converged: of how many Hessians. Cost in gradients of the same batch and "
        "in numbers that are kept."
    )
    significant = dict.fromkeys([*_MEASURES, *_COSTS, "residual"], 2)
    unshown = [f"{name}_{end}" for name in _MEASURES for end in _ENDS]
    return Table(rows, f"{caption} {data_note(measured)}".strip(), significant=significant, unshown=unshown)
