"""Data sets: where their files come from, how they are read, split and stored."""
