"""The closed form of the Hessian against the dense matrix, the worst of all activations in each row."""

from collections.abc import Mapping

import pandas as pd

from secondorder.presentation import Context, data_note
from secondorder.tables.table import Table

_GROUP = ["network", "loss", "samples", "fitted", "control"]
_ERRORS = ["eigenvalue_error", "matrix_error", "direction_error"]


def build(tables: Mapping[str, pd.DataFrame], context: Context) -> Table:  # noqa: ARG001
    """Return the table of errors.

    Args:
        tables: The table ``exact_hessian``.
        context: Not used.
    """
    cases = tables["exact_hessian"]
    groups = cases.groupby(_GROUP, sort=False, dropna=False)
    rows = groups.agg(
        cases=("passed", "size"),
        parameters=("parameters", "max"),
        rank=("rank", "max"),
        **{error: (error, "max") for error in _ERRORS},
        tolerance=("tolerance", "min"),
        passed=("passed", "sum"),
    ).reset_index()
    rows["hessian"] = rows["control"].where(rows["control"] != "", "closed form")
    # The controls last, and what is compared before what it is compared in.
    rows = rows.sort_values("control", key=lambda column: column != "", kind="stable")
    rows["loss"] = rows["loss"].str.replace("_", " ")
    columns = ["hessian", "network", "loss", "samples", "fitted", "cases", "parameters", "rank", *_ERRORS]
    caption = (
        "The closed form of the Hessian against the dense matrix of automatic differentiation in float64, on real "
        "images of 8 x 8 pixels: the largest error over the activations ReLU, tanh, GELU and softplus. Eigenvalue "
        "error: over all P eigenvalues, relative to the largest. Matrix error: over all entries, likewise. Direction "
        "error: of the Newton directions of all spectral adjustments, relative to their length and per condition "
        "number. Fitted: 1 - p, p the probability of the label, that the network was trained to on its sample. The "
        "last rows are Hessians that are wrong on purpose: none may pass."
    )
    significant = dict.fromkeys([*_ERRORS, "tolerance"], 2) | {"fitted": 1}
    note = data_note(cases)
    return Table(rows[[*columns, "tolerance", "passed"]], f"{caption} {note}".strip(), significant=significant)
