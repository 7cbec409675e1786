"""Write the manifest of a tier."""

import json
from pathlib import Path

from secondorder.files import file_digest
from secondorder.job import job
from secondorder.provenance.hardware import hardware
from secondorder.provenance.manifest import commit, environment, read_manifest, write_manifest
from secondorder.provenance.tier_manifest import PACKAGES, build_tier_manifest, table_record

with job(snakemake.log[0]):
    target = Path(snakemake.output.manifest)
    runs, tables = ([Path(path) for path in snakemake.input[name]] for name in ("runs", "tables"))
    manifest = build_tier_manifest(
        configuration=snakemake.params.configuration,
        commit=commit(),
        environment=environment(PACKAGES),
        hardware=hardware(),
        data_manifests=[json.loads(Path(path).read_text(encoding="utf-8")) for path in snakemake.input.data],
        run_manifests=[(read_manifest(path), file_digest(path)) for path in runs],
        tables={path.relative_to(target.parent).as_posix(): table_record(path) for path in tables},
    )
    write_manifest(target, manifest.to_mapping())
