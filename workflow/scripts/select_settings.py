"""Choose the best trial of every searched run, and write what was chosen and from what."""

from pathlib import Path

from secondorder.files import atomic_path, write_text
from secondorder.job import job
from secondorder.tuning.search import Search
from secondorder.tuning.selection import collect_trials, combine, mark_chosen
from secondorder.tuning.tuned_files import evidence_text, tuned_text

with job(snakemake.log[0]):
    searches = [Search.from_mapping(values) for values in snakemake.params.searches]
    data = [Path(path) for path in snakemake.input.data]
    tables = [
        mark_chosen(collect_trials(search, Path(folder), data), search)
        for search, folder in zip(searches, snakemake.params.folders, strict=True)
    ]
    trials = combine(tables)
    with atomic_path(Path(snakemake.output.trials)) as temporary:
        trials.to_parquet(temporary, index=False)
    write_text(Path(snakemake.output.tuned), tuned_text(snakemake.params.tier, searches, trials))
    write_text(Path(snakemake.output.evidence), evidence_text(trials))
