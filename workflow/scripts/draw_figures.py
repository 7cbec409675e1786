"""Draw figures from aggregated tables."""

from pathlib import Path

from secondorder import plotting
from secondorder.job import job
from secondorder.plotting.saving import save_figure
from secondorder.plotting.style import house_style
from secondorder.presentation import Context
from secondorder.statistics.aggregation import read_aggregated

with job(snakemake.log[0]), house_style():
    for figure in snakemake.params.figures:
        tables = read_aggregated(figure["tables"])
        drawn = plotting.load(figure["kind"]).draw(tables, Context(**figure["context"]))
        save_figure(drawn, [Path(target) for target in figure["targets"]])
