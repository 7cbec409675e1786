"""Names of the files that a run leaves in its folder."""

METRICS, TIMING, MANIFEST = "metrics.parquet", "timing.parquet", "manifest.json"
