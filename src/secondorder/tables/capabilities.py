"""Which run can train which problem, found by trying a step of each."""

from collections.abc import Mapping

import pandas as pd

from secondorder.presentation import Context, data_note
from secondorder.tables.footnotes import numbered
from secondorder.tables.table import Table


def build(tables: Mapping[str, pd.DataFrame], context: Context) -> Table:
    """Return the matrix: a row per run, a column per problem.

    Args:
        tables: The table ``capabilities``.
        context: Gives labels and order.
    """
    probed = tables["capabilities"]
    notes = numbered(reason for reason in probed["refusal"] if reason)
    cells = [
        _cell(trained, notes.get(refusal), work)
        for trained, refusal, work in zip(
            probed["trained"], probed["refusal"], probed["gradient_equivalents"], strict=True
        )
    ]
    matrix = probed.assign(cell=cells).pivot_table("cell", "run", "problem", aggfunc="first")
    runs = [run for run in context.main_runs if run in set(probed["run"])]
    rows = matrix.reindex(index=runs, columns=list(probed["problem"].unique()))
    reasons = " ".join(f"({number}) {reason}." for reason, number in notes.items())
    caption = (
        f"A step of every run, and of each kind where it has several, on at most {probed['samples'].max()} training "
        "images of every problem. Trained: the problem trains the run. Refused: the optimizer cannot, for the reason "
        "below. Possible: the step is taken, but the problem leaves the run out; the number is the work of the step, "
        "or of the dearest, in gradients over the same images. "
        f"{reasons} {data_note(probed)}"
    )
    return Table(
        rows.rename_axis("optimizer").rename_axis(columns=None).reset_index(), caption.strip(), labels=context.labels
    )


def _cell(trained: bool, note: int | None, work: float) -> str:
    if note is not None:
        return f"refused ({note})"
    return "trained" if trained else f"possible: {work:.3g}"
