"""Configuration: what can be set, how files are merged and checked, and what a run resolves to."""
