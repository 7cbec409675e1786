"""Updates to a training loss: how many steps a run takes until its training loss first reaches the target."""

from collections.abc import Mapping

import pandas as pd


def summarise_updates_to_loss(rows: pd.DataFrame, seeds: pd.DataFrame, targets: Mapping[str, float]) -> pd.DataFrame:
    """Return the median over seeds of the updates that bracket the first crossing of the target.

    The training loss is measured after each epoch's worth of work. The crossing lies after the ``fewest`` updates,
    those of the last evaluation above the target, and at the latest after the ``updates`` of the first one at or below
    it. A seed that misses the target counts as infinite in both.

    Args:
        rows: From :func:`~secondorder.statistics.curves.evaluation_rows`.
        seeds: One row per problem, run and seed.
        targets: Target training loss by problem; a problem without one has no rows.

    Returns:
        Columns problem, run, target, seeds, reached, fewest, updates, updates_min, updates_max.
    """
    losses = rows[rows["metric"] == "training_loss"].sort_values("evaluation")
    summaries = []
    for (problem, run), group in seeds.groupby(["problem", "run"], sort=False):
        if problem not in targets:
            continue
        own = losses[(losses["problem"] == problem) & (losses["run"] == run)]
        brackets = [_bracket(own[own["seed"] == seed], targets[str(problem)]) for seed in group["seed"]]
        fewest, updates = (pd.Series(ends, dtype=float) for ends in zip(*brackets, strict=True))
        summaries.append(
            {
                "problem": problem,
                "run": run,
                "target": targets[str(problem)],
                "seeds": len(group),
                "reached": int((updates < float("inf")).sum()),
                "fewest": fewest.median(),
                "updates": updates.median(),
                "updates_min": updates.min(),
                "updates_max": updates.max(),
            }
        )
    columns = ["problem", "run", "target", "seeds", "reached", "fewest", "updates", "updates_min", "updates_max"]
    return pd.DataFrame(summaries, columns=columns)


def _bracket(losses: pd.DataFrame, target: float) -> tuple[float, float]:
    """Return the updates of the last evaluation above the target and of the first one at or below it."""
    reached = (losses["value"] <= target).to_numpy()
    if not reached.any():
        return float("inf"), float("inf")
    first = int(reached.argmax())
    steps = losses["step"].to_numpy(dtype=float)
    return (float(steps[first - 1]) if first else 0.0), float(steps[first])
