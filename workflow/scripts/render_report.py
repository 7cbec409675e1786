"""Render the report of a tier."""

from pathlib import Path

from secondorder import plotting, tables
from secondorder.configuration.models import Configuration
from secondorder.files import write_text
from secondorder.job import job
from secondorder.presentation import Context
from secondorder.provenance.manifest import read_manifest
from secondorder.report.rendering import ReportFigure, render_report
from secondorder.statistics.aggregation import read_aggregated

with job(snakemake.log[0]):
    configuration = Configuration.model_validate(snakemake.params.configuration)
    figures = [
        ReportFigure(name, Path(png), plotting.load(kind).caption(Context(**context)))
        for png, (name, (kind, context)) in zip(snakemake.input.figures, snakemake.params.figures.items(), strict=True)
    ]
    aggregated = read_aggregated({name: snakemake.input[name] for name in snakemake.params.reads})
    context = Context(**snakemake.params.context)
    built = {name: tables.load(name).build(aggregated, context) for name in snakemake.params.tables}
    manifests = [read_manifest(Path(path)) for path in snakemake.input.manifests]
    page = render_report(configuration, figures, built, manifests, context)
    write_text(Path(snakemake.output.page), page)
