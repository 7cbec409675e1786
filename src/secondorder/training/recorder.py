"""Tidy records of a training run: one row per measured number, with the work done until then."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path

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

``scope`` says when the row was taken: after a ``step``; at an ``evaluation``; or ``final``, at the end of training.
``evaluation`` is the number of epochs' worth of work after which the last evaluation was made, 0 before the first step;
it skips what a single long step did. ``step`` counts the steps and ``epoch`` the passes over the data; the work
columns are totals since the start.
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


_MOMENT = tuple(field.name for field in fields(Moment))


class Recorder:
    """Collects rows of one seed.

    Args:
        seed: The seed all rows carry.
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._rows: list[tuple[str, Moment, str, float]] = []

    def add(self, scope: str, moment: Moment, metrics: Mapping[str, float]) -> None:
        """Add one row per metric.

        Args:
            scope: ``step``, ``evaluation`` or ``final``.
            moment: When.
            metrics: Values by name.
        """
        self._rows.extend((scope, moment, metric, float(value)) for metric, value in metrics.items())

    def state_dict(self) -> dict[str, torch.Tensor]:
        """Return the rows as one tensor of bytes: as objects they would take longer to save than an epoch takes."""
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, SCHEMA) as stream:
            stream.write_table(self.table())
        return {"rows": torch.frombuffer(bytearray(sink.getvalue()), dtype=torch.uint8)}

    def load_state_dict(self, state: dict[str, torch.Tensor]) -> None:
        """Take over rows from :meth:`state_dict`."""
        table = pa.ipc.open_stream(state["rows"].numpy().tobytes()).read_all()
        moments = zip(*(table[name].to_pylist() for name in _MOMENT), strict=True)
        others = (table[name].to_pylist() for name in ("scope", "metric", "value"))
        self._rows = [
            (scope, Moment(*moment), metric, value)
            for moment, scope, metric, value in zip(moments, *others, strict=True)
        ]

    def table(self) -> pa.Table:
        """Return the rows as an Arrow table of :data:`SCHEMA`."""
        moments = {name: [getattr(moment, name) for _, moment, _, _ in self._rows] for name in _MOMENT}
        return pa.table(
            {
                "seed": [self._seed] * len(self._rows),
                "scope": [scope for scope, _, _, _ in self._rows],
                **moments,
                "metric": [metric for _, _, metric, _ in self._rows],
                "value": [value for _, _, _, value in self._rows],
            },
            schema=SCHEMA,
        )


def write_tables(tables: Iterable[pa.Table], target: Path) -> None:
    """Write the tables of all seeds into one Parquet file, whole or not at all."""
    with atomic_path(target) as temporary:
        pq.write_table(pa.concat_tables(tables), temporary, compression="zstd")
