"""How often the Newton direction goes up, by spectral adjustment and share of the training."""

from collections.abc import Mapping

import pandas as pd

from secondorder.presentation import Context, data_note
from secondorder.tables.table import Table

_GROUP = ["problem", "run", "share", "kind", "samples"]


def build(tables: Mapping[str, pd.DataFrame], context: Context) -> Table:
    """Return the table of ascents.

    Args:
        tables: The table ``directions``.
        context: Gives labels.
    """
    directions = tables["directions"].assign(ascends=100.0 * tables["directions"]["ascends"])
    adjustments = list(directions["adjustment"].unique())
    dampings = sorted(directions["damping"].unique())
    first = directions[(directions["adjustment"] == adjustments[0]) & (directions["damping"] == dampings[0])]
    rows = first.assign(uphill=100 * first["uphill"]).groupby(_GROUP, sort=False)
    rows = rows.agg(
        count=("rank", "size"), rank=("rank", "median"), negative=("negative", "median"), uphill=("uphill", "median")
    )
    plain = directions[directions["adjustment"] == "newton"]
    for damping in dampings:
        rows[f"newton {damping:g}"] = plain[plain["damping"] == damping].groupby(_GROUP)["ascends"].mean()
    others = [adjustment for adjustment in adjustments if adjustment != "newton"]
    for adjustment in others:
        # Over all dampings together, so that a single ascent at any of them shows.
        rows[adjustment] = directions[directions["adjustment"] == adjustment].groupby(_GROUP)["ascends"].mean()
    rows = rows.reset_index().rename(columns={"run": "optimizer"})
    rows["hessian"] = [
        "one sample" if kind == "sample" else f"batch of {samples}"
        for kind, samples in zip(rows["kind"], rows["samples"], strict=True)
    ]
    rows["budget"] = 100 * rows["share"]
    shown = [f"newton {damping:g}" for damping in dampings] + others
    caption = (
        "Percentage of Hessians whose Newton direction goes up (its inner product with the gradient is positive), for "
        "one network along its training (the first seed of each run; budget: percentage spent): plain Newton at each "
        "damping, and each spectral adjustment over all dampings. Uphill: percentage of the undamped Newton step's "
        "work along eigendirections that is done against it by negative curvature; the step goes up above 50. Rank, "
        "negative eigenvalues and uphill are medians."
    )
    digits = {"budget": 0, "rank": 0, "negative": 0, "uphill": 1, **dict.fromkeys(shown, 1)}
    columns = ["problem", "optimizer", "budget", "hessian", "count", "rank", "negative", "uphill", *shown]
    note = data_note(directions)
    return Table(rows[columns], f"{caption} {note}".strip(), digits, context.labels)
