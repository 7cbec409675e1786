"""How every run ranks under each condition of a problem, and how alike the rankings are."""

from collections.abc import Mapping

import pandas as pd

from secondorder.presentation import Context, data_note
from secondorder.statistics.rankings import rank_under_conditions
from secondorder.tables.table import Table


def build(tables: Mapping[str, pd.DataFrame], context: Context) -> Table:
    """Return the table of ranks.

    Args:
        tables: The aggregated tables ``final_metric`` and ``seeds`` of the problems with conditions, and of these.
        context: Gives labels, conditions and the confidence level.
    """
    finals = context.of_main_runs(tables["final_metric"])
    ranked = []
    for problem, labels in context.conditions.items():
        rows = rank_under_conditions(finals, list(labels), context.condition_references[problem])
        ranked.append(rows.assign(condition=rows["problem"].map(labels), problem=problem))
    rows = pd.concat(ranked, ignore_index=True).rename(columns={"run": "optimizer"})
    references = ", ".join(
        f"{context.conditions[problem][reference]} ({problem})"
        for problem, reference in context.condition_references.items()
    )
    caption = (
        "Test metric at the end of the budget under each condition of a problem: mean over seeds, its "
        f"{context.confidence:.0%} percentile-bootstrap confidence interval, and the rank among the runs that all "
        "conditions train. A run with a diverged seed has no mean and shares the last rank. Correlation: Kendall's τ_b "
        f"of the condition's ranking with that of {references}."
    )
    columns = ["problem", "condition", "optimizer", "metric", "rank", "mean", "ci_low", "ci_high", "seeds", "diverged"]
    return Table(
        rows[[*columns, "correlation"]],
        f"{caption} {data_note(tables['seeds'])}".strip(),
        {"rank": 0, "mean": 2, "ci_low": 2, "ci_high": 2, "correlation": 2},
        context.labels,
    )
