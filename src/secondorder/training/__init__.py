"""Training: from a resolved specification of a run to its metrics, timing and manifest."""
