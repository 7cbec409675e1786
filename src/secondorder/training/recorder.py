"""Tidy records of a training run: one row per measured number, with the work done until then."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from secondorder.files import atomic_path

SCHEMA = pa.schema(
    [
        pa.field("seed", pa.int32()),
        pa.field("scope", pa.string()),
        pa.field("epoch", pa.int32()),
        pa.field("step", pa.int32()),
        pa.field("gradients", pa.int64()),
        pa.field("losses", pa.int64()),
        pa.field("products", pa.int64()),
        pa.field("gradient_equivalents", pa.float64()),
        pa.field("metric", pa.string()),
        pa.field("value", pa.float64()),
    ]
)
"""Columns of metrics and timing files.

``scope`` says when the row was taken: after a ``step``, after an ``epoch`` (0: before the first step), or ``final``, at
the end of training. ``epoch`` and ``step`` count those completed; the work columns are totals since the start.
"""


class Recorder:
    """Collects rows of one seed.

    Args:
        seed: The seed all rows carry.
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._columns: dict[str, list[Any]] = {name: [] for name in SCHEMA.names if name != "seed"}

    def add(self, scope: str, epoch: int, step: int, work: Mapping[str, float], metrics: Mapping[str, float]) -> None:
        """Add one row per metric.

        Args:
            scope: ``step``, ``epoch`` or ``final``.
            epoch: Epochs completed.
            step: Steps completed.
            work: Counts as from :meth:`Work.state_dict`.
            metrics: Values by name.
        """
        for metric, value in metrics.items():
            row = {"scope": scope, "epoch": epoch, "step": step, "metric": metric, "value": float(value)}
            for name, column in self._columns.items():
                column.append(row[name] if name in row else work[name])

    def state_dict(self) -> dict[str, list[Any]]:
        """Return the columns as lists."""
        return {name: list(column) for name, column in self._columns.items()}

    def load_state_dict(self, state: dict[str, list[Any]]) -> None:
        """Take over columns from :meth:`state_dict`."""
        self._columns = {name: list(column) for name, column in state.items()}

    def table(self) -> pa.Table:
        """Return the rows as an Arrow table of :data:`SCHEMA`."""
        seeds = [self._seed] * len(self._columns["value"])
        return pa.table({"seed": seeds, **self._columns}, schema=SCHEMA)


def write_tables(tables: Iterable[pa.Table], target: Path) -> None:
    """Write the tables of all seeds into one Parquet file, whole or not at all."""
    with atomic_path(target) as temporary:
        pq.write_table(pa.concat_tables(tables), temporary, compression="zstd")
