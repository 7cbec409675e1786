"""How many updates every run takes to a given training loss, and how many times fewer than the reference run."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from secondorder.presentation import Context, data_note
from secondorder.tables.table import Table

PROMISED = {"exact_newton": (4, "exact Newton"), "newton_krylov": (10, "Newton-Krylov")}
"""Times fewer updates that are asked for, by the optimizer's module, with its name: of exact Newton by this project, of
Newton-Krylov by its paper, which "often converges one order faster"."""


def build(tables: Mapping[str, pd.DataFrame], context: Context) -> Table:
    """Return the table of updates to a training loss.

    Args:
        tables: The aggregated tables ``updates_to_loss`` and ``seeds``.
        context: Gives labels and the reference run.
    """
    rows = with_ratios(context.of_main_runs(tables["updates_to_loss"]), context.reference).rename(
        columns={"run": "optimizer"}
    )
    reference = context.labels.get(context.reference, context.reference)
    caption = (
        "Updates until the training loss (without penalty, evaluation mode) first reaches the target: median over "
        f"seeds (smallest–largest), at the resolution of an epoch's worth of work. Times fewer than {reference}, each "
        f"with its own batches and at equal work, as far as evaluations tell: at least counts {reference} from the "
        "evaluation before its crossing, and at most the optimizer; both are ratios of medians and no bounds over "
        "seeds. A seed that misses the target counts as infinite, and a ratio with it is missing."
    )
    caption = f"{caption} {_summary(rows, context)}".strip()
    columns = ["problem", "optimizer", "target", "seeds", "reached", "updates", "updates_min", "updates_max"]
    columns += ["times_fewer_at_least", "times_fewer_at_most"]
    digits = {"target": 2, "updates": 0, "times_fewer_at_least": 2, "times_fewer_at_most": 2}
    note = data_note(tables["seeds"])
    return Table(rows[columns], f"{caption} {note}".strip(), digits, context.labels, ranges=["updates"])


def _summary(rows: pd.DataFrame, context: Context) -> str:
    """Return for each promise and problem whether a run of it takes so many fewer updates."""
    reference = context.labels.get(context.reference, context.reference)
    sentences = []
    for optimizer, (promised, name) in PROMISED.items():
        runs = [run for run, module in context.optimizers.items() if module == optimizer]
        for problem, variants in rows[rows["optimizer"].isin(runs)].groupby("problem", sort=False):
            known = variants.dropna(subset="times_fewer_at_least")
            if known.empty:
                sentences.append(f"On {problem} no run of {name} reaches the target where {reference} does.")
                continue
            best = known.sort_values("times_fewer_at_least").iloc[-1]
            reached = "is" if best["times_fewer_at_least"] >= promised else "is not"
            sentences.append(
                f"On {problem} the best run of {name}, {context.labels.get(best['optimizer'], best['optimizer'])}, "
                f"takes at least {best['times_fewer_at_least']:.2g} times fewer updates than {reference}: {promised} "
                f"times {reached} reached."
            )
    return " ".join(sentences)


def with_ratios(updates: pd.DataFrame, reference: str) -> pd.DataFrame:
    """Return the rows with the smallest and the largest ratio of the reference's updates to theirs.

    Args:
        updates: The aggregated table ``updates_to_loss``.
        reference: The run to compare with; ratios are missing on problems that do not train it, where it or the run
            misses the target, or where the run crosses it before its first evaluation.
    """
    base = updates[updates["run"] == reference].set_index("problem")
    fewest, most = updates["problem"].map(base["fewest"]), updates["problem"].map(base["updates"])
    at_least = (fewest / updates["updates"]).where(np.isfinite(fewest) & np.isfinite(updates["updates"]))
    at_most = (most / updates["fewest"]).where(
        np.isfinite(most) & np.isfinite(updates["fewest"]) & (updates["fewest"] > 0)
    )
    return updates.assign(times_fewer_at_least=at_least, times_fewer_at_most=at_most)
