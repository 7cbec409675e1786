"""Diagnostics of Newton-Krylov steps: one row per step."""

import pandas as pd

from secondorder.newton.krylov_end import KrylovEnd

DIAGNOSTICS = (
    "krylov_products",
    "krylov_end",
    "smallest_curvature",
    "largest_curvature",
    "predicted_change",
    "actual_change",
    "taylor_error",
    "step_size",
)
"""Metrics of a step, which are columns here."""

ENDS = {end.value: end.name.lower().replace("_", " ") for end in KrylovEnd}
"""Why conjugate gradients ended, by the number that a run records."""

_MOMENT = ["problem", "run", "seed", "step", "epoch", "gradient_equivalents"]


def krylov_steps(metrics: pd.DataFrame) -> pd.DataFrame:
    """Return the steps that made Hessian-vector products for conjugate gradients, in their order.

    Args:
        metrics: Rows of metrics files with ``problem`` and ``run``.

    Returns:
        Columns problem, run, seed, step, epoch, gradient_equivalents and those of :data:`DIAGNOSTICS`, with
        ``krylov_end`` as one of the words of :data:`ENDS` and NaN for what a step does not record. Runs of other
        optimizers have no rows.
    """
    steps = metrics[(metrics["scope"] == "step") & metrics["metric"].isin(DIAGNOSTICS)]
    if "krylov_products" not in set(steps["metric"]):
        return pd.DataFrame(columns=[*_MOMENT, *DIAGNOSTICS])
    rows = steps.pivot_table(index=_MOMENT, columns="metric", values="value").reindex(columns=list(DIAGNOSTICS))
    rows = rows[rows["krylov_products"].notna()].reset_index().rename_axis(columns=None)
    return rows.assign(krylov_end=rows["krylov_end"].map(ENDS))
