"""What approximations of Hessians keep of them, and what they cost."""

from collections.abc import Mapping

import pandas as pd

from secondorder.presentation import Context, data_note
from secondorder.statistics.approximations import summarise_approximations, with_labels
from secondorder.tables.table import Table

_MEASURES = (
    "leading_error",
    "largest_error",
    "negative_error",
    "subspace_angle",
    "density_distance",
    "matrix_error",
    "trace_error",
    "direction_cosine",
)
# Of which the interval is shown; those of all others would make the table too wide to read.
_WITH_INTERVAL = ("leading_error", "direction_cosine")
_COSTS = ("gradient_equivalents", "seconds", "memory_bytes", "numbers")
_KEYS = ["problem", "run", "seed", "share", "sample", "method", "effort"]


def build(tables: Mapping[str, pd.DataFrame], context: Context) -> Table:
    """Return the table of approximations at the end of training.

    Args:
        tables: The tables ``approximations`` and ``approximations_timing``.
        context: Gives the confidence level.
    """
    measured = tables["approximations"]
    timed = tables["approximations_timing"][[*_KEYS, "seconds", "memory_bytes"]]
    last = measured[measured["share"] == measured["share"].max()].merge(timed, on=_KEYS, how="left")
    means = with_labels(summarise_approximations(last, ["problem"], [*_MEASURES, *_COSTS], context.confidence))
    residuals = last.groupby(["problem", "method", "effort"], dropna=False)["residual"].max().rename("residual")
    means = means.merge(residuals.reset_index(), on=["problem", "method", "effort"], how="left")
    means["mebibytes"] = means["memory_bytes"] / 2**20
    renamed = {f"{name}_low": f"{name}_min" for name in _MEASURES} | {
        f"{name}_high": f"{name}_max" for name in _MEASURES
    }
    rows = means.drop(columns=["method", "memory_bytes"]).rename(columns={**renamed, "label": "method"})
    columns = ["problem", "method", "hessians", "converged", "certified", "residual"]
    for name in _MEASURES:
        columns += [name, f"{name}_min", f"{name}_max"]
    costs = ["gradient_equivalents", "seconds", "mebibytes", "numbers"]
    samples, parameters = int(last["samples"].max()), int(last["parameters"].max())
    caption = (
        f"Approximations of the exact Hessians of batches of {samples} samples at the end of training, networks of up "
        f"to {parameters:,} parameters: relative error of the eigenvalue of largest size, of the largest and of the "
        "most negative ones (– where one of them is not found), largest angle between the leading eigenspaces "
        "(degrees; – where the next eigenvalue is as large), Wasserstein distance of the spectral densities (1: as far "
        "as a matrix of zeros), relative Frobenius error, error of the trace over the sum of |eigenvalue|, cosine of "
        "the damped Newton direction to the exact one. Means over runs, batches and seeds, with "
        f"{context.confidence:.0%} confidence intervals over seeds where there are several, which are too narrow where "
        "they are few; those of the other measures are in the CSV. Residual: the largest of claimed eigenpairs, "
        "relative, by products of double backward, to which the exact ones have at most "
        f"{last['truth_residual'].max():.0e}; converged, certified: of how many Hessians. Cost: multiplications over "
        "those of a gradient of the same batch, without the work of ARPACK on its own vectors; seconds and growth of "
        "the process by one core that other work may share, each timed once, and the numbers that are kept. The "
        "diagonal and the low ranks are made of the exact Hessian and cost as much; closed forms pay for their own "
        "check."
    )
    significant = dict.fromkeys([*_MEASURES, *costs, "residual"], 2)
    unshown = [f"{name}_{end}" for name in _MEASURES if name not in _WITH_INTERVAL for end in ("min", "max")]
    return Table(
        rows[[*columns, *costs]],
        f"{caption} {data_note(measured)}".strip(),
        ranges=_WITH_INTERVAL,
        significant=significant,
        unshown=unshown,
    )
