"""Get, verify, read and split a dataset."""

from pathlib import Path

from secondorder.data.datasets import prepare_dataset
from secondorder.data.storage import save_dataset
from secondorder.job import job, say

with job(snakemake.log[0]):
    folder = snakemake.params.folder
    dataset = prepare_dataset(
        snakemake.wildcards.dataset,
        Path(snakemake.params.downloads),
        Path(folder) if folder else None,
        snakemake.params.allow_unverified,
        report=say,
    )
    save_dataset(dataset, Path(snakemake.output.arrays), Path(snakemake.output.manifest))
