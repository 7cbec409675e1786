"""Kept metrics: what figures, tables and report of a finished tier read, to be committed and checked."""
