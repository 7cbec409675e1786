"""Compute some runs again, and compare them with their originals."""

from pathlib import Path

from secondorder.data.storage import load_dataset
from secondorder.job import job
from secondorder.provenance.verification import verify_run
from secondorder.provenance.verification_record import write_verifications
from secondorder.statistics.collection import expected_runs
from secondorder.training.progress import Part, Progress
from secondorder.training.specification import RunSpecification

with job(snakemake.log[0]):
    files = zip(snakemake.input.arrays, snakemake.input.data, strict=True)
    datasets = {dataset.name: dataset for dataset in (load_dataset(Path(npz), Path(text)) for npz, text in files)}
    runs, confidence = snakemake.params.runs, snakemake.params.confidence
    specifications = [RunSpecification.from_mapping(run["specification"]) for run in runs]
    originals = expected_runs(
        specifications, [Path(run["original"]) for run in runs], [Path(path) for path in snakemake.input.data]
    )
    found = []
    with Progress(snakemake.rule) as progress:
        for position, (specification, original, run) in enumerate(zip(specifications, originals, runs, strict=True)):
            part = Part(progress, f"{specification.problem}/{specification.run}", position, len(runs))
            dataset, output = datasets[specification.dataset], Path(run["output"])
            found.append(verify_run(specification, original, dataset, output, snakemake.params.seeds, confidence, part))
    write_verifications(found, confidence, Path(snakemake.output.record), Path(snakemake.output.page))
