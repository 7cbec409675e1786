"""Claims and tables written by hand."""

import pandas as pd

from secondorder.claims.models import Claim, Evidence

WHY = "Because a test needs one."
FASTER = {"of": ["new"], "against": ["old"]}


def part(**given):
    """A part of a claim: the new run's error is below the old one's by more than 1, unless something else is given."""
    standard = {"name": "part", "table": "outcomes", "each": ["problem"], "column": "test_error", "why": WHY}
    inferred = {"compared": FASTER, "effect": "difference", "statistic": "mean", "test": "superiority", "margin": 1.0}
    return Evidence.model_validate(standard | inferred | given)


def bound(**given):
    """A part of a claim that looks at every number: all rows have passed."""
    standard = {"name": "bound", "table": "checks", "column": "passed", "why": WHY}
    return Evidence.model_validate(standard | {"statistic": "share", "test": "at_least", "margin": 1.0} | given)


def claim(*parts, name="A1", family="first"):
    """A claim of these parts."""
    source = {"paper": "A paper", "arxiv": "2104.00000", "text": "abstract only"}
    return Claim.model_validate(
        {
            "id": name,
            "family": family,
            "source": source,
            "sentence": "It is better.",
            "reading": "It has a smaller error.",
            "evidence": [each.model_dump() for each in parts],
        }
    )


def outcomes(**errors):
    """Rows of one problem: a test error per seed by run; None is a diverged seed."""
    rows = [
        {
            "problem": "mnist",
            "run": run,
            "seed": seed,
            "status": "diverged" if error is None else "finished",
            "test_error": float("nan") if error is None else float(error),
            "data_verified": True,
        }
        for run, listed in errors.items()
        for seed, error in enumerate(listed)
    ]
    return pd.DataFrame(rows)


def with_problem(table, problem):
    """The same rows of another problem."""
    return table.assign(problem=problem)
