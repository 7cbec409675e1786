"""Get, verify, read and split a dataset."""

from pathlib import Path

from secondorder.data.datasets import prepare_dataset
from secondorder.data.layout import drop_in_folder
from secondorder.data.storage import save_dataset
from secondorder.job import job, say

with job(snakemake.log[0]):
    dataset = prepare_dataset(
        snakemake.wildcards.dataset,
        Path(snakemake.params.downloads),
        drop_in_folder(),
        snakemake.params.allow_unverified,
        report=say,
    )
    save_dataset(dataset, Path(snakemake.output.arrays), Path(snakemake.output.manifest))
