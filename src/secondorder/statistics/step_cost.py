"""What one step of each run costs: seconds, gradient-equivalents and memory."""

import pandas as pd

_OF_SEED = ("seconds", "gradient_equivalents", "peak_memory_bytes")


def summarise_step_cost(timing: pd.DataFrame, seeds: pd.DataFrame) -> pd.DataFrame:
    """Return what one step costs: the median over seeds, with the smallest and the largest.

    The seconds of a seed are the median over its steps of the time since the clock was last read, per step made since
    then, without evaluations; the first steps, which load code and fill caches, so have no weight. The
    gradient-equivalents of a seed are all of its work over all of its steps, its memory the largest of its training.

    Args:
        timing: Rows of timing files with ``problem`` and ``run``.
        seeds: One row per problem, run and seed.

    Returns:
        Columns problem, run, seeds, steps (of all seeds), and for each of seconds, gradient_equivalents and
        peak_memory_bytes the median under that name and ``_min`` and ``_max``; NaN where no seed made a step.
    """
    rows = []
    of_run = dict(iter(timing.groupby(["problem", "run"], sort=False)))
    for (problem, run), group in seeds.groupby(["problem", "run"], sort=False):
        measured = of_run.get((problem, run), timing.iloc[:0])
        costs = pd.DataFrame([_cost(measured[measured["seed"] == seed]) for seed in group["seed"]])
        row = {"problem": problem, "run": run, "seeds": len(group), "steps": int(costs["steps"].sum())}
        for name in _OF_SEED:
            row |= {name: costs[name].median(), f"{name}_min": costs[name].min(), f"{name}_max": costs[name].max()}
        rows.append(row)
    return pd.DataFrame(rows)


def _cost(timing: pd.DataFrame) -> dict[str, float]:
    """Return what one step of one seed costs."""
    clock = timing[(timing["scope"] == "step") & (timing["metric"] == "seconds")].sort_values("step")
    memory = timing[timing["metric"] == "peak_memory_bytes"]["value"]
    if clock.empty:
        return {
            "steps": 0.0,
            "seconds": float("nan"),
            "gradient_equivalents": float("nan"),
            "peak_memory_bytes": memory.max(),
        }
    last = clock.iloc[-1]
    steps, seconds = (clock[name].diff().fillna(clock[name]) for name in ("step", "value"))
    return {
        "steps": float(last["step"]),
        "seconds": float((seconds / steps).median()),
        "gradient_equivalents": float(last["gradient_equivalents"] / last["step"]),
        "peak_memory_bytes": memory.max(),
    }


def relative_cost(costs: pd.DataFrame, reference: str) -> pd.DataFrame:
    """Return costs with ``times_<name>``, over those of the reference run on the same problem; NaN where it has none.

    Args:
        costs: From :func:`summarise_step_cost`.
        reference: The run that the others are compared with.
    """
    of_reference = costs[costs["run"] == reference].set_index("problem")
    ratios = {f"times_{name}": costs[name] / costs["problem"].map(of_reference[name]) for name in _OF_SEED}
    return costs.assign(**ratios)
