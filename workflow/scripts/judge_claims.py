"""Judge the claims by the tables that they name."""

from pathlib import Path

from secondorder.claims.ledger import judge_claims
from secondorder.claims.models import Claim
from secondorder.job import job
from secondorder.statistics.aggregation import read_aggregated, write_aggregated

with job(snakemake.log[0]):
    claims = [Claim.model_validate(values) for values in snakemake.params.claims]
    tables = read_aggregated(dict(snakemake.input.items()))
    findings, verdicts = judge_claims(
        claims, tables, snakemake.params.absent, snakemake.params.conditions, snakemake.params.confidence
    )
    write_aggregated({"claims": findings, "verdicts": verdicts}, Path(snakemake.output.claims).parent)
