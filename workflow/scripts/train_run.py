"""Train all seeds of one run on one problem."""

from pathlib import Path

from secondorder.data.storage import load_dataset
from secondorder.job import job
from secondorder.training.progress import Progress
from secondorder.training.run import train_run
from secondorder.training.specification import RunSpecification

with job(snakemake.log[0]):
    specification = RunSpecification.from_mapping(snakemake.params.specification)
    dataset = load_dataset(Path(snakemake.input.arrays), Path(snakemake.input.manifest))
    with Progress(f"{specification.problem}/{specification.run}") as progress:
        train_run(
            specification,
            dataset,
            Path(snakemake.output.metrics).parent,
            Path(snakemake.params.checkpoints),
            progress,
        )
