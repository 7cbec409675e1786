"""What one step of each run costs: seconds, gradient-equivalents and memory."""

import pandas as pd

_SEED = ["problem", "run", "seed"]
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
    for (problem, run), costs in costs_of_seeds(timing, seeds).groupby(["problem", "run"], sort=False):
        row = {"problem": problem, "run": run, "seeds": len(costs), "steps": int(costs["steps"].sum())}
        for name in _OF_SEED:
            row |= {name: costs[name].median(), f"{name}_min": costs[name].min(), f"{name}_max": costs[name].max()}
        rows.append(row)
    return pd.DataFrame(rows)


def costs_of_seeds(timing: pd.DataFrame, seeds: pd.DataFrame) -> pd.DataFrame:
    """Return what one step of each seed costs; see :func:`summarise_step_cost`.

    Args:
        timing: Rows of timing files with ``problem`` and ``run``.
        seeds: One row per problem, run and seed.

    Returns:
        Columns problem, run, seed, steps, and of one step seconds, gradient_equivalents and peak_memory_bytes, a row
        for each of ``seeds`` in their order; NaN where a seed made no step.
    """
    clock = timing[(timing["scope"] == "step") & (timing["metric"] == "seconds")].sort_values([*_SEED, "step"])
    of_seed = clock.groupby(_SEED)
    # Of the first reading of a seed there is no earlier one, and its own position and time are the differences.
    passed = of_seed["value"].diff().fillna(clock["value"]) / of_seed["step"].diff().fillna(clock["step"])
    last = of_seed.last()
    costs = pd.DataFrame(
        {
            "steps": last["step"].astype(float),
            "seconds": passed.groupby([clock[name] for name in _SEED]).median(),
            "gradient_equivalents": last["gradient_equivalents"] / last["step"],
        }
    )
    memory = timing[timing["metric"] == "peak_memory_bytes"].groupby(_SEED)["value"].max()
    costs = costs.join(memory.rename("peak_memory_bytes").astype(float), how="outer")
    found = seeds[_SEED].merge(costs.reset_index(), on=_SEED, how="left", validate="one_to_one")
    return found.fillna({"steps": 0.0})


def relative_cost(costs: pd.DataFrame, reference: str) -> pd.DataFrame:
    """Return costs with ``times_<name>``, over those of the reference run on the same problem; NaN where it has none.

    Args:
        costs: From :func:`summarise_step_cost`.
        reference: The run that the others are compared with.
    """
    of_reference = costs[costs["run"] == reference].set_index("problem")
    ratios = {f"times_{name}": costs[name] / costs["problem"].map(of_reference[name]) for name in _OF_SEED}
    return costs.assign(**ratios)
