"""Rows of metrics and timing files, written by hand."""

import pandas as pd


def metric_rows(problem, run, seed, metric, values, work=1.0, seconds=1.0):
    """The rows of one metric of one seed: an evaluation per value, ``work`` epochs and ten steps apart."""
    rows = [
        {
            "problem": problem,
            "run": run,
            "seed": seed,
            "scope": "evaluation",
            "evaluation": evaluation,
            "step": 10 * evaluation,
            "epoch": work * evaluation,
            "gradient_equivalents": 20.0 * work * evaluation,
            "metric": metric,
            "value": float(value),
        }
        for evaluation, value in enumerate(values)
    ]
    timing = [{**row, "metric": "seconds", "value": seconds * row["evaluation"]} for row in rows]
    return pd.DataFrame(rows), pd.DataFrame(timing)


def seed_rows(problem, run, statuses):
    """The rows of one run's seeds, numbered from 0, with their statuses."""
    return pd.DataFrame(
        [{"problem": problem, "run": run, "seed": seed, "status": status} for seed, status in enumerate(statuses)]
    )


def joined(*parts):
    """Pairs of metric and timing rows as one pair; timing that several metrics brought is kept once."""
    metrics, timing = (pd.concat(frames, ignore_index=True) for frames in zip(*parts, strict=True))
    return metrics, timing.drop_duplicates(["problem", "run", "seed", "evaluation"])
