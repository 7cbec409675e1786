"""Faults in spectra that the checks have to notice."""

from collections.abc import Mapping

import pandas as pd

from secondorder.presentation import Context, data_note
from secondorder.tables.table import Table


def build(tables: Mapping[str, pd.DataFrame], context: Context) -> Table:
    """Return the table of negative controls.

    Args:
        tables: The table ``spectral_controls``.
        context: Gives labels.
    """
    controls = tables["spectral_controls"]
    rows = controls[["problem", "control", "sound", "check", "value", "tolerance", "caught"]]
    caption = (
        "Spectra that are wrong on purpose and the checks that have to notice, each beside its sound counterpart: the "
        "sign of one layer's part of every product, float16, quadrature weights that are not divided by the number of "
        "probes, and Lanczos vectors that are not orthogonalised again, which gives eigenvalues twice. A fault is "
        f"caught where the value exceeds the tolerance; Hessians of {int(controls['samples'].max())} samples at the "
        "end of a training."
    )
    significant = {"value": 2, "tolerance": 1}
    return Table(rows, f"{caption} {data_note(controls)}".strip(), {}, context.labels, significant=significant)
