"""Targets of the workflow: in one line what each one is, the jobs that it needs, and what they cost."""
