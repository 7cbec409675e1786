"""Where kept metrics lie. It imports nothing, so that whoever only needs the names is quick."""

from pathlib import PurePosixPath

KEPT_FOLDER = PurePosixPath("reference/metrics")
"""Folder, below the project's, with a folder of kept metrics for each tier."""

MANIFEST = "manifest.json"
RUNS = "runs.parquet"
"""The manifests of all runs, which the report reads."""
JOBS = "jobs.parquet"
"""What every job of the tier took, as Snakemake measured it."""
