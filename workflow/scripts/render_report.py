"""Render the report of a tier."""

from pathlib import Path

from secondorder import plotting, tables
from secondorder.archive.runs import read_run_manifests
from secondorder.claims.models import Claim
from secondorder.configuration.models import Configuration
from secondorder.files import write_text
from secondorder.job import job
from secondorder.presentation import Context, origin_note
from secondorder.provenance.tier_manifest import read_tier_manifest
from secondorder.report.claims import Ledger
from secondorder.report.rendering import OF_VERDICTS, ReportFigure, render_report
from secondorder.statistics.aggregation import of_problems, read_aggregated
from secondorder.tables.table import with_note


def _caption(kind: str, context: Context, problems: list[str]) -> str:
    return f"{plotting.load(kind).caption(context)} {origin_note(context, problems)}".strip()


with job(snakemake.log[0]):
    configuration = Configuration.model_validate(snakemake.params.configuration)
    figures = [
        ReportFigure(name, kind, Path(png), _caption(kind, Context(**context), problems))
        for png, (name, (kind, context, problems)) in zip(
            snakemake.input.figures, snakemake.params.figures.items(), strict=True
        )
    ]
    aggregated = read_aggregated({name: snakemake.input[name] for name in snakemake.params.reads})
    context = Context(**snakemake.params.context)
    built = {
        name: with_note(
            tables.load(name).build(of_problems(aggregated, problems), context), origin_note(context, problems)
        )
        for name, problems in snakemake.params.tables.items()
    }
    manifests = read_run_manifests([Path(path) for path in snakemake.input.manifests])
    ledger = None
    if OF_VERDICTS in built:
        claims = [Claim.model_validate(values) for values in snakemake.params.claims]
        ledger = Ledger(claims, aggregated["verdicts"], aggregated["claims"], snakemake.params.claimed_runs)
    # Kept metrics have no manifest of a tier.
    tier = read_tier_manifest(Path(snakemake.input.tier)) if snakemake.input.tier else None
    page = render_report(configuration, figures, built, manifests, context, ledger, tier)
    write_text(Path(snakemake.output.page), page)
