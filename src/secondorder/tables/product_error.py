"""The error of Hessian-vector products by every method, and whether that of the complex step depends on the step."""

from collections.abc import Mapping

import pandas as pd

from secondorder.presentation import Context, data_note
from secondorder.tables.table import Table

_FLAT = {"float64": (1e-8, 1e-100), "float32": (1e-8, 1e-30)}
"""Largest and smallest step between which the complex step is claimed to be exact."""

_GROUP = ["network", "dtype", "method", "control"]


def build(tables: Mapping[str, pd.DataFrame], context: Context) -> Table:  # noqa: ARG001
    """Return the table of errors.

    Args:
        tables: The table ``product_error``.
        context: Not used.
    """
    errors = tables["product_error"]
    groups = errors.groupby(_GROUP, sort=False)
    rows = groups.agg(
        steps=("step", "count"), best=("error", "min"), worst=("error", "max"), tolerance=("tolerance", "first")
    )
    made = errors[errors["error"].notna()]
    rows["best_step"] = made.loc[made.groupby(_GROUP)["error"].idxmin()].set_index(_GROUP)["step"]
    rows["refused"] = groups["error"].apply(lambda given: int(given.isna().sum()))
    rows = rows.reset_index()
    rows = rows.sort_values("control", key=lambda control: control != "", kind="stable")
    rows["product"] = rows["control"].where(rows["control"] != "", rows["method"].str.replace("_", " "))
    caption = (
        "Error of one Hessian-vector product on real images of 8 x 8 pixels, relative to the length of the product by "
        "double backward in float64 of the same numbers: the best and the worst over the sizes of the step, for "
        "methods that take one, and the step of the best. Refused: products that the method refuses with an error, "
        "because the step vanishes or it cannot represent the network. The last rows are products that are wrong on "
        f"purpose: none may be within the tolerance. {_verdict(errors)}"
    )
    columns = ["network", "dtype", "product", "steps", "best", "best_step", "worst", "refused", "tolerance"]
    significant = dict.fromkeys(["best", "worst", "tolerance"], 2) | {"best_step": 1}
    return Table(rows[columns], f"{caption} {data_note(errors)}".strip(), significant=significant)


def _verdict(errors: pd.DataFrame) -> str:
    """Return a sentence per dtype and network: whether the complex step is within the tolerance at every step."""
    sentences = []
    for dtype, (largest, smallest) in _FLAT.items():
        of_dtype = errors[(errors["control"] == "") & (errors["dtype"] == dtype)]
        # Room for rounding, because a step need not be the double that is written here.
        claimed = of_dtype[
            (of_dtype["method"] == "complex_step") & of_dtype["step"].between(smallest * 0.99, largest * 1.01)
        ]
        if claimed.empty:
            continue
        found = []
        for network, steps in claimed.groupby("network", sort=False):
            # Not "any above": an error that is not a number must count as one.
            answer = "yes" if (steps["error"] <= steps["tolerance"]).all() else "no"
            found.append(f"{network} {answer}, at most {steps['error'].max():.1e}")
        sentences.append(
            f"Is the complex step in {dtype} within {claimed['tolerance'].max():.0e} at every step from {largest:.0e} "
            f"down to {smallest:.0e}? {'; '.join(found).capitalize()}."
        )
    return " ".join(sentences)
