"""What the steps of each Newton-Krylov run are like, those of the studies among them, over all its seeds."""

from collections.abc import Mapping

import pandas as pd

from secondorder.presentation import Context, data_note
from secondorder.statistics.krylov import ENDS
from secondorder.tables.table import Table

_ENDS = tuple(ENDS.values())


def build(tables: Mapping[str, pd.DataFrame], context: Context) -> Table:
    """Return the table of Newton-Krylov steps.

    Args:
        tables: The aggregated tables ``krylov``, ``curves`` and ``seeds``.
        context: Gives labels.
    """
    steps = tables["krylov"]
    seeds = tables["seeds"][tables["seeds"]["problem"].isin(steps["problem"])]
    losses = tables["curves"][tables["curves"]["metric"] == "training_loss"]
    at_end = losses.groupby(["problem", "run"], sort=False)["mean"].last()
    rows = []
    for (problem, run), group in steps.groupby(["problem", "run"], sort=False):
        ends = group["krylov_end"].value_counts(normalize=True)
        rows.append(
            {
                "problem": problem,
                "optimizer": run,
                "seeds": group["seed"].nunique(),
                "steps": len(group),
                "products": group["krylov_products"].mean(),
                "all_products": group["krylov_products"].sum() / group["seed"].nunique(),
                "training_loss": at_end.get((problem, run), float("nan")),
                **{end: 100 * ends.get(end, 0.0) for end in _ENDS},
                "rejected": 100 * ((group["step_size"] == 0) & (group["krylov_end"] != "zero gradient")).mean(),
                "taylor_error": group["taylor_error"].median(),
            }
        )
    # In the order of the configuration, which the steps do not keep.
    problems, runs = list(steps["problem"].unique()), list(context.labels)
    rows.sort(key=lambda row: (problems.index(row["problem"]), runs.index(row["optimizer"])))
    columns = ["problem", "optimizer", "seeds", "steps", "products", "all_products", "training_loss", *_ENDS]
    columns += ["rejected", "taylor_error"]
    caption = (
        "Steps of Newton-Krylov, all seeds together. Products: Hessian-vector products per step and, all "
        "products, of a whole training, means; training loss (without penalty) at its end, mean over seeds. Then the "
        "percentage of steps by why conjugate gradients ended (the residual converged, a direction without positive "
        "curvature disturbed them, the products were used up, the gradient was zero, a number was not finite, the "
        "boundary of the trust region was reached), and of those that were rejected, so that no step was taken. "
        "Taylor error: |measured change − predicted change| / |predicted change| of the mini-batch loss at the last "
        "step length that was tried, median; a dash where no change is measured."
    )
    digits = {"products": 1, "all_products": 0, "training_loss": 4, **dict.fromkeys(_ENDS, 1), "rejected": 1}
    return Table(
        pd.DataFrame(rows, columns=columns),
        f"{caption} {data_note(seeds)}".strip(),
        digits,
        context.labels,
        significant={"taylor_error": 2},
    )
