"""Write tables from aggregated tables."""

from pathlib import Path

from secondorder import tables
from secondorder.job import job
from secondorder.presentation import Context, origin_note
from secondorder.statistics.aggregation import read_aggregated
from secondorder.tables.table import with_note, write_table

with job(snakemake.log[0]):
    context = Context(**snakemake.params.context)
    for table in snakemake.params.tables:
        built = tables.load(table["name"]).build(read_aggregated(table["tables"]), context)
        built = with_note(built, origin_note(context, table["problems"]))
        write_table(built, *(Path(target) for target in table["targets"]))
