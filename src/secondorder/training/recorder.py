"""Tidy records of a training run: one row per measured number, with the work done until then."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import torch

from secondorder.files import atomic_path

SCHEMA = pa.schema(
    [
        pa.field("seed", pa.int32()),
        pa.field("scope", pa.string()),
        pa.field("evaluation", pa.int32()),
        pa.field("step", pa.int32()),
        pa.field("epoch", pa.float64()),
        pa.field("gradients", pa.int64()),
        pa.field("losses", pa.int64()),
        pa.field("products", pa.int64()),
        pa.field("gradient_equivalents", pa.float64()),
        pa.field("metric", pa.string()),
        pa.field("value", pa.float64()),
    ]
)
"""Columns of metrics and timing files.

``scope`` says when the row was taken: after a ``step``; at an ``evaluation``, of which there is one before the first
step and one after each epoch's worth of work; or ``final``, at the end of training. ``evaluation`` and ``step`` count
those completed, ``epoch`` the passes over the training data; the work columns are totals since the start.
"""


@dataclass(frozen=True)
class Moment:
    """When a row is taken: the columns between its scope and its metric."""

    evaluation: int
    step: int
    epoch: float
    gradients: int
    losses: int
    products: int
    gradient_equivalents: float


class Recorder:
    """Collects rows of one seed.

    Args:
        seed: The seed all rows carry.
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._columns: dict[str, list[Any]] = {name: [] for name in SCHEMA.names if name != "seed"}

    def add(self, scope: str, moment: Moment, metrics: Mapping[str, float]) -> None:
        """Add one row per metric.

        Args:
            scope: ``step``, ``evaluation`` or ``final``.
            moment: When.
            metrics: Values by name.
        """
        for metric, value in metrics.items():
            row = {"scope": scope, **asdict(moment), "metric": metric, "value": float(value)}
            for name, column in self._columns.items():
                column.append(row[name])

    def state_dict(self) -> dict[str, torch.Tensor]:
        """Return the rows as one tensor of bytes: as objects they would take longer to save than an epoch takes."""
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, SCHEMA) as stream:
            stream.write_table(self.table())
        return {"rows": torch.frombuffer(bytearray(sink.getvalue()), dtype=torch.uint8)}

    def load_state_dict(self, state: dict[str, torch.Tensor]) -> None:
        """Take over rows from :meth:`state_dict`."""
        table = pa.ipc.open_stream(state["rows"].numpy().tobytes()).read_all()
        self._columns = {name: table[name].to_pylist() for name in self._columns}

    def table(self) -> pa.Table:
        """Return the rows as an Arrow table of :data:`SCHEMA`."""
        seeds = [self._seed] * len(self._columns["value"])
        return pa.table({"seed": seeds, **self._columns}, schema=SCHEMA)


def write_tables(tables: Iterable[pa.Table], target: Path) -> None:
    """Write the tables of all seeds into one Parquet file, whole or not at all."""
    with atomic_path(target) as temporary:
        pq.write_table(pa.concat_tables(tables), temporary, compression="zstd")
