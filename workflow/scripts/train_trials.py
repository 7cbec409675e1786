"""Train all trials of one run on one problem."""

from pathlib import Path

from secondorder.data.storage import load_dataset
from secondorder.job import job
from secondorder.training.progress import Progress
from secondorder.tuning.search import Search
from secondorder.tuning.trials import train_trials

with job(snakemake.log[0]):
    search = Search.from_mapping(snakemake.params.search)
    dataset = load_dataset(Path(snakemake.input.arrays), Path(snakemake.input.manifest))
    with Progress(f"{search.specification.problem}/{search.specification.run}") as progress:
        train_trials(search, dataset, Path(snakemake.params.folder), Path(snakemake.params.checkpoints), progress)
