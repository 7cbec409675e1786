"""Train all seeds of some runs on one dataset, one run after the other."""

from pathlib import Path

from secondorder.data.storage import load_dataset
from secondorder.job import job
from secondorder.training.progress import Part, Progress
from secondorder.training.run import train_run
from secondorder.training.specification import RunSpecification

with job(snakemake.log[0]):
    dataset = load_dataset(Path(snakemake.input.arrays), Path(snakemake.input.manifest))
    runs = snakemake.params.runs
    with Progress(snakemake.rule) as progress:
        for position, run in enumerate(runs):
            specification = RunSpecification.from_mapping(run["specification"])
            part = Part(progress, f"{specification.problem}/{specification.run}", position, len(runs))
            train_run(specification, dataset, Path(run["output"]), Path(run["checkpoints"]), part)
