"""Draw one figure from aggregated tables."""

from pathlib import Path

from secondorder import plotting
from secondorder.job import job
from secondorder.plotting.saving import save_figure
from secondorder.plotting.style import house_style
from secondorder.presentation import Context
from secondorder.statistics.aggregation import read_aggregated

with job(snakemake.log[0]), house_style():
    tables = read_aggregated(dict(snakemake.input.items()))
    figure = plotting.load(snakemake.params.kind).draw(tables, Context(**snakemake.params.context))
    save_figure(figure, [Path(snakemake.output.pdf), Path(snakemake.output.png)])
