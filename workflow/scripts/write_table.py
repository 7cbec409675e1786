"""Write one table from aggregated tables."""

from pathlib import Path

from secondorder import tables
from secondorder.job import job
from secondorder.presentation import Context
from secondorder.statistics.aggregation import read_aggregated
from secondorder.tables.table import write_table

with job(snakemake.log[0]):
    read = read_aggregated(dict(snakemake.input.items()))
    table = tables.load(snakemake.wildcards.name).build(read, Context(**snakemake.params.context))
    write_table(table, Path(snakemake.output.csv), Path(snakemake.output.markdown), Path(snakemake.output.latex))
