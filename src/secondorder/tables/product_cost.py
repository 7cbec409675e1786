"""What a Hessian-vector product costs by every method, in gradients, beside the floor by counted multiplications."""

from collections.abc import Mapping

import pandas as pd

from secondorder.presentation import Context, data_note
from secondorder.tables.table import Table


def build(tables: Mapping[str, pd.DataFrame], context: Context) -> Table:
    """Return the table of costs.

    Args:
        tables: The tables ``product_cost`` and ``product_cost_timing``.
        context: Says whether seconds are comparable.
    """
    timing = tables["product_cost_timing"]
    rows = tables["product_cost"].drop(columns="data_verified").merge(timing, validate="one_to_one")
    rows["product"] = rows["method"].str.replace("_", " ")
    rows["time_min"], rows["time_max"] = rows["fastest"], rows["slowest"]
    rows["times_floor"] = rows["time"] / rows["floor"]
    rows["gradient_milliseconds"] = 1e3 * rows["gradient_seconds"]
    shared = "" if context.exclusive else " Other jobs shared the machine."
    caption = (
        "One Hessian-vector product among many at one point, in units of one gradient, on one thread in float32. Time: "
        "median (fastest–slowest) of the seconds. Floor: multiplications of a product over those of the gradient; "
        "times floor: the time over it. Construction: seconds of computing what all products share. Memory: the peak "
        f"above what the process held, of construction and one product.{shared}"
    )
    columns = ["network", "batch_size", "width", "parameters", "product", "time", "time_min", "time_max", "floor"]
    columns += ["times_floor", "construction", "memory", "gradient_milliseconds"]
    digits = dict.fromkeys(["time", "floor", "times_floor", "construction", "memory", "gradient_milliseconds"], 2)
    return Table(rows[columns], f"{caption} {data_note(timing)}".strip(), digits, ranges=("time",))
