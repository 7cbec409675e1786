"""Get, verify, read and split a dataset."""

from pathlib import Path

from secondorder.data.datasets import prepare_dataset
from secondorder.data.layout import drop_in_folder
from secondorder.data.storage import save_dataset
from secondorder.files import hold_folders
from secondorder.job import job, say

downloads = Path(snakemake.params.downloads)

with job(snakemake.log[0]), hold_folders([downloads], say):
    dataset = prepare_dataset(
        snakemake.wildcards.dataset,
        downloads,
        drop_in_folder(),
        snakemake.params.allow_unverified,
        report=say,
    )
    save_dataset(dataset, Path(snakemake.output.arrays), Path(snakemake.output.manifest))
