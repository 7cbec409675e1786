"""Tuning: the same number of trials for every run, drawn by the same rule, and the best of them by validation."""
