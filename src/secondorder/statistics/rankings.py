"""Rankings of runs by a final metric, and how alike two rankings are."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats


def rank_runs(values: pd.Series, diverged: pd.Series, *, higher_is_better: bool) -> pd.Series:
    """Return the rank of each run, 1 for the best; equal values share the smaller rank, and diverged runs the last.

    Args:
        values: The metric by run; of a diverged run it does not count.
        diverged: Whether the run diverged, by run.
        higher_is_better: The direction of the metric.

    Returns:
        Ranks by run; NaN for a run that neither diverged nor has a value.
    """
    finished = values.mask(diverged.astype(bool))
    ranks = finished.rank(method="min", ascending=not higher_is_better)
    return ranks.mask(diverged.astype(bool), finished.count() + 1.0)


def rank_correlation(ranks: pd.Series, others: pd.Series) -> float:
    """Return Kendall's τ_b of two rankings over the runs that both rank.

    τ_b = (C − D) / √((n₀ − n₁)(n₀ − n₂)) with C concordant and D discordant pairs of n₀, of which n₁ and n₂ are tied in
    the one and in the other (Kendall 1945): 1 for equal rankings, −1 for opposite ones.

    Args:
        ranks: Ranks by run.
        others: Ranks by run.

    Returns:
        τ_b; NaN where fewer than two runs are in both, or one ranking has only ties.
    """
    both = pd.concat([ranks, others], axis="columns", join="inner").dropna()
    if len(both) < 2:
        return float("nan")
    return float(stats.kendalltau(both.iloc[:, 0], both.iloc[:, 1], variant="b").statistic)


def ranking_changes(changed: pd.DataFrame, reference: pd.DataFrame) -> NDArray[np.float64]:
    """Return by how much a condition changes the ranking of the runs, seed by seed, beyond what seeds alone change.

    d_s = τ_b(ranks of the condition by seed s, ranks of the reference by seed s') less τ_b(ranks of the reference by
    seed s, ranks of the reference by seed s'), s' the seed after s, and the first after the last. Both rankings of each
    pair are of different seeds, so that d has mean 0 where the condition changes nothing, however much seeds do.

    Args:
        changed: An error per seed (rows) and run under the condition; NaN for a diverged seed, which ranks last.
        reference: The same without the condition, with the same rows and columns.
    """
    ranks, plain = (
        [rank_runs(row, row.isna(), higher_is_better=False) for _, row in errors.iterrows()]
        for errors in (changed, reference)
    )
    later = [*plain[1:], plain[0]]
    return np.array(
        [
            rank_correlation(under, other) - rank_correlation(own, other)
            for under, own, other in zip(ranks, plain, later, strict=True)
        ]
    )


def higher_is_better(finals: pd.DataFrame) -> bool:
    """Return the direction of the metric that rows of ``final_metric`` hold."""
    return bool((finals["better"] == "higher").all())


def rank_under_conditions(finals: pd.DataFrame, conditions: Sequence[str], reference: str) -> pd.DataFrame:
    """Return how the runs rank under each condition of a problem, and how alike the rankings are.

    Args:
        finals: Rows of final metrics, one per problem and run, with ``mean`` and ``diverged``.
        conditions: The problems of the conditions.
        reference: The one of them whose ranking the others are compared with.

    Returns:
        The rows of the runs that all conditions have, in the order of the conditions, with ``rank`` (:func:`rank_runs`)
        and ``correlation``, Kendall's τ_b of the condition's ranking with that of the reference.
    """
    tables = {name: finals[finals["problem"] == name].set_index("run") for name in conditions}
    shared = [run for run in tables[reference].index if all(run in table.index for table in tables.values())]
    tables = {name: table.loc[shared] for name, table in tables.items()}
    ranks = {
        name: rank_runs(table["mean"], table["diverged"] > 0, higher_is_better=higher_is_better(table))
        for name, table in tables.items()
    }
    ranked = [
        table.assign(rank=ranks[name], correlation=rank_correlation(ranks[name], ranks[reference])).reset_index()
        for name, table in tables.items()
    ]
    return pd.concat(ranked, ignore_index=True)
