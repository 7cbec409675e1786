"""Aggregation: everything that figures and tables read, from everything that runs wrote."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from secondorder.files import atomic_path
from secondorder.metric import MetricDescription
from secondorder.statistics.collection import CollectedRuns
from secondorder.statistics.curves import evaluation_rows, summarise_curves
from secondorder.statistics.final_metric import summarise_final_metric
from secondorder.statistics.krylov import krylov_steps
from secondorder.statistics.outcomes import outcomes_of_seeds
from secondorder.statistics.step_cost import summarise_step_cost
from secondorder.statistics.time_to_target import summarise_time_to_target
from secondorder.statistics.updates_to_loss import summarise_updates_to_loss


def aggregate(
    runs: CollectedRuns,
    described: Mapping[str, MetricDescription],
    targets: Mapping[str, float],
    loss_targets: Mapping[str, float],
    confidence: float,
    resamples: int,
) -> dict[str, pd.DataFrame]:
    """Return the aggregated tables of runs by name.

    Args:
        runs: The runs.
        described: The metric by problem.
        targets: Target value of the validation metric by problem.
        loss_targets: Target training loss by problem, of those that have one.
        confidence: Level of the confidence intervals.
        resamples: Bootstrap resamples.
    """
    rows = evaluation_rows(runs.metrics, runs.timing)
    return {
        "curves": summarise_curves(rows, runs.seeds, confidence, resamples),
        "final_metric": summarise_final_metric(runs.metrics, runs.seeds, described, confidence, resamples),
        "krylov": krylov_steps(runs.metrics),
        "outcomes": outcomes_of_seeds(rows, runs, described, targets, loss_targets),
        "seeds": runs.seeds,
        "step_cost": summarise_step_cost(runs.timing, runs.seeds),
        "time_to_target": summarise_time_to_target(rows, runs.seeds, described, targets),
        "updates_to_loss": summarise_updates_to_loss(rows, runs.seeds, loss_targets),
    }


def of_problems(tables: Mapping[str, pd.DataFrame], problems: Sequence[str]) -> dict[str, pd.DataFrame]:
    """Return the rows of these problems; tables that are of no problem stay whole."""
    return {
        name: table[table["problem"].isin(problems)] if "problem" in table else table for name, table in tables.items()
    }


def write_aggregated(tables: Mapping[str, pd.DataFrame], folder: Path) -> None:
    """Write each table as ``<name>.parquet``."""
    for name, table in tables.items():
        with atomic_path(folder / f"{name}.parquet") as temporary:
            table.to_parquet(temporary, index=False)


def read_aggregated(paths: Mapping[str, str | Sequence[str]]) -> dict[str, pd.DataFrame]:
    """Read aggregated tables by name.

    Args:
        paths: By name, the path of a table or those of several problems' tables, which are put together.
    """
    listed = {name: [given] if isinstance(given, str) else given for name, given in paths.items()}
    return {name: _together([pd.read_parquet(file) for file in files]) for name, files in listed.items()}


def _together(tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Return all rows. A table without any does not know the types of its columns, and has no say in them."""
    filled = [table for table in tables if len(table)]
    return pd.concat(filled or tables[:1], ignore_index=True)
