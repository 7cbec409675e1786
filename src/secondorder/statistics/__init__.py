"""Statistics: pure functions from the metrics of runs to summaries over seeds."""
