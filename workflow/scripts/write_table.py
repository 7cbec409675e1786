"""Write one table from aggregated tables."""

from pathlib import Path

from secondorder import tables
from secondorder.job import job
from secondorder.presentation import Context, transfer_note
from secondorder.statistics.aggregation import read_aggregated
from secondorder.tables.table import with_note, write_table

with job(snakemake.log[0]):
    read = read_aggregated(dict(snakemake.input.items()))
    context = Context(**snakemake.params.context)
    table = tables.load(snakemake.wildcards.name).build(read, context)
    table = with_note(table, transfer_note(context, snakemake.params.problems))
    write_table(table, Path(snakemake.output.csv), Path(snakemake.output.markdown), Path(snakemake.output.latex))
