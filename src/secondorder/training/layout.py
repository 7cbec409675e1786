"""Names of the files that a run leaves in its folder."""

METRICS, TIMING, SNAPSHOTS, MANIFEST = "metrics.parquet", "timing.parquet", "snapshots.npz", "manifest.json"

VOUCHED_FOR = (METRICS, TIMING, SNAPSHOTS)
"""The files whose digests the manifest holds."""
