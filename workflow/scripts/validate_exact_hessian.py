"""Compare the closed form of the Hessian with the dense matrix, and see wrong ones fail."""

from pathlib import Path

from secondorder.data.storage import load_dataset
from secondorder.job import job
from secondorder.training.device import make_deterministic
from secondorder.validation.exact_hessian import validate
from secondorder.validation.networks import small_images
from secondorder.validation.storage import write_frame

with job(snakemake.log[0]):
    make_deterministic(threads=1)
    dataset = load_dataset(Path(snakemake.input.arrays), Path(snakemake.input.manifest))
    images, labels = small_images(dataset, max(snakemake.params.samples))
    table = validate(images, labels, snakemake.params.hidden, snakemake.params.samples, snakemake.params.fitted)
    write_frame(table, dataset, Path(snakemake.output.table))
