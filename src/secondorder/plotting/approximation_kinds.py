"""How the methods that approximate Hessians are drawn, the same in all figures."""

import pandas as pd

from secondorder.plotting.style import RunStyle, run_styles

KINDS = ("exact", "iterative", "stochastic", "structured")

BASELINE = "no curvature"
"""The matrix of zeros, which is as far as knowing nothing."""


def method_styles(rows: pd.DataFrame) -> dict[str, RunStyle]:
    """Return the style of each method, kind after kind: the colour is that of its kind, the marker its own in it.

    Args:
        rows: Has method and kind.
    """
    colors = run_styles(KINDS)
    styles = {}
    for kind in KINDS:
        for method, own in run_styles(list(rows.loc[rows["kind"] == kind, "method"].unique())).items():
            styles[method] = RunStyle(colors[kind].color, own.marker, own.linestyle)
    return styles


def greatest_effort(rows: pd.DataFrame) -> pd.DataFrame:
    """Return each method's rows of its greatest effort."""
    greatest = rows.groupby("method")["effort"].transform("max")
    return rows[(rows["effort"] == greatest) | rows["effort"].isna()]
