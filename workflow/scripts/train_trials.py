"""Train all trials of some runs on one dataset, one run after the other."""

from pathlib import Path

from secondorder.data.storage import load_dataset
from secondorder.job import job
from secondorder.training.progress import Part, Progress
from secondorder.tuning.search import Search
from secondorder.tuning.trials import train_trials

with job(snakemake.log[0]):
    dataset = load_dataset(Path(snakemake.input.arrays), Path(snakemake.input.manifest))
    runs = snakemake.params.searches
    with Progress(snakemake.rule) as progress:
        for position, run in enumerate(runs):
            search = Search.from_mapping(run["search"])
            part = Part(progress, f"{search.specification.problem}/{search.specification.run}", position, len(runs))
            train_trials(search, dataset, Path(run["folder"]), Path(run["checkpoints"]), part)
