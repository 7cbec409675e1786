"""Every claim of the papers with its verdict, and the numbers that it rests on."""

from collections.abc import Mapping

import pandas as pd

from secondorder.presentation import Context, data_note
from secondorder.tables.table import Table

_SHOWN = ["claim", "verdict", "sentence", "why"]


def build(tables: Mapping[str, pd.DataFrame], context: Context) -> Table:
    """Return the table of claims.

    Args:
        tables: The tables ``verdicts`` and ``claims``.
        context: Gives the confidence level.
    """
    verdicts, findings = tables["verdicts"], tables["claims"]
    judged = findings[findings["verdict"] != "NOT-RUN"]
    rows = verdicts.assign(findings=verdicts["claim"].map(judged.groupby("claim").size()).fillna(0).astype(int))
    level = 1 - context.confidence
    caption = (
        "The claims of the two papers and the survey, as they were read from their abstracts (claims/*.yaml), and what "
        "this tier's results say of them. REPRODUCED: all parts are shown with their margins. DIRECTION-ONLY: the "
        "effect has the claimed direction, and the margin is not shown. NOT-REPRODUCED: a margin is refuted. "
        "INCONCLUSIVE: neither, with how many seeds would decide. NOT-RUN: nothing that it names was measured. Tests "
        f"over seeds are one-sided at level {level:.2g}, corrected over the claims of each source by Holm's procedure; "
        "a miss is infinite, and no diverged seed is left out."
    )
    note = data_note(verdicts)
    columns = [*_SHOWN, "findings", "p_adjusted", "source", "text", "reading"]
    unshown = ["findings", "p_adjusted", "source", "text", "reading"]
    return Table(rows[columns], f"{caption} {note}".strip(), unshown=unshown, sentences=["sentence", "why"])
