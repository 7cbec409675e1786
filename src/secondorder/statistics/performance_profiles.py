"""Performance profiles: on what share of the problems a run is within a factor of the best (Dolan & Moré 2002)."""

import numpy as np
import pandas as pd


def ratios_to_best(spent: pd.DataFrame) -> pd.DataFrame:
    """Return r_ps = t_ps / min_s t_ps, what each run s spends on a problem p over what the best one spends.

    Args:
        spent: What is spent until the target, a row per run and a column per problem, of shape (runs, problems).
            Infinite for a miss, NaN where the problem does not count for the run.

    Returns:
        The ratios, in the same shape: at least 1, infinite for a miss, NaN as above.
    """
    best = spent.min(axis="index")
    ratios = spent / best
    # Neither a problem that nobody solves nor one that is solved at the start has a ratio by division.
    return ratios.mask(spent == best, 1.0).mask(np.isinf(spent), np.inf)


def performance_profiles(spent: pd.DataFrame) -> pd.DataFrame:
    """Return ρ_s(τ) = |{p : r_ps ≤ τ}| / |P_s|, the share of its problems that a run solves within τ times the best.

    Dolan & Moré (2002, section 2), as AlgoPerf scores with it (Dahl et al. 2023, section 4). P_s are the problems that
    count for run s, where it misses some or all of them too, so a profile ends below 1 where targets are missed.

    Args:
        spent: As :func:`ratios_to_best`.

    Returns:
        A row per factor τ at which a profile may rise, ascending from 1, and a column per run; between two rows a
        profile keeps the value of the first. NaN for a run that no problem counts for.
    """
    ratios = ratios_to_best(spent)
    finite = ratios.to_numpy()[np.isfinite(ratios.to_numpy())]
    factors = np.union1d([1.0], finite)
    counted = ratios.notna().sum(axis="columns")
    solved = pd.DataFrame({factor: (ratios <= factor).sum(axis="columns") for factor in factors})
    return solved.div(counted.where(counted > 0), axis="index").T.rename_axis(index="factor")
