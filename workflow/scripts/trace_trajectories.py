"""Trace the paths of all runs on analytic functions."""

from pathlib import Path

from secondorder.job import job
from secondorder.landscapes.comparison import Contestant, compare
from secondorder.statistics.aggregation import write_aggregated
from secondorder.training.device import make_deterministic

with job(snakemake.log[0]):
    make_deterministic(threads=1)
    contestants = [Contestant(**given) for given in snakemake.params.contestants]
    functions, budget, tolerance = (snakemake.params[name] for name in ("functions", "budget", "tolerance"))
    trajectories, outcomes = compare(functions, contestants, budget, tolerance)
    tables = {"trajectories": trajectories, "landscape_outcomes": outcomes}
    write_aggregated(tables, Path(snakemake.output.trajectories).parent)
