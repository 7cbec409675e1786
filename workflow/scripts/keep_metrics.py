"""Keep what figures, tables and report of a tier read, so that they can be drawn from it alone."""

from datetime import UTC, datetime
from pathlib import Path

from secondorder.archive.jobs import jobs_table
from secondorder.archive.keeping import description, keep_metrics, write_kept_manifest
from secondorder.archive.runs import read_run_manifests
from secondorder.job import job
from secondorder.provenance.manifest import commit, environment, read_manifest

with job(snakemake.log[0]):
    folder = Path(snakemake.output.manifest).parent
    manifests = read_run_manifests([Path(path) for path in snakemake.input.manifests])
    tables = dict(zip(snakemake.params.names, map(Path, snakemake.input.tables), strict=True))
    described = description(
        snakemake.params.configuration,
        manifests,
        read_manifest(Path(snakemake.input.whole)),
        {"commit": commit(), "environment": environment()},
        datetime.now(UTC).date().isoformat(),
    )
    jobs = jobs_table(Path(snakemake.params.benchmarks))
    write_kept_manifest(folder, keep_metrics(tables, manifests, jobs, folder), described)
