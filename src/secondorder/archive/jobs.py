"""What the jobs of a tier took, from the files in which Snakemake measures them."""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

APART = ("keep_metrics", "recompute_runs", "select_settings", "train_trials")
"""Rules that making a tier does not call."""


def jobs_table(benchmarks: Path) -> pa.Table:
    """Return what each job that made a tier took, in the order of their names.

    Args:
        benchmarks: Folder of the files, each with a heading and a row, ``<rule>.tsv`` or ``<rule>/<batch>.tsv``.

    Returns:
        Columns job (the file without its suffix), seconds, and memory_bytes, the largest that was resident; that is NaN
        of a job which ended before it was looked at.
    """
    rows = []
    for path in sorted(benchmarks.rglob("*.tsv")):
        name = path.relative_to(benchmarks).with_suffix("")
        if name.parts[0] not in APART:
            measured = pd.read_csv(path, sep="\t", na_values="-").iloc[-1]
            rows.append((name.as_posix(), float(measured["s"]), float(measured["max_rss"]) * 2**20))
    names, seconds, memory = zip(*rows, strict=True) if rows else ((), (), ())
    return pa.table(
        {
            "job": pa.array(names, pa.string()),
            "seconds": np.asarray(seconds, dtype=np.float64),
            "memory_bytes": np.asarray(memory, dtype=np.float64),
        }
    )
