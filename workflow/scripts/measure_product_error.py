"""Measure the error of Hessian-vector products by every method, and see wrong ones fail."""

from pathlib import Path

from secondorder.data.storage import load_dataset
from secondorder.job import job
from secondorder.training.device import make_deterministic
from secondorder.validation.networks import small_images
from secondorder.validation.product_error import SAMPLES, measure_product_error
from secondorder.validation.storage import write_frame

with job(snakemake.log[0]):
    make_deterministic(threads=1)
    dataset = load_dataset(Path(snakemake.input.arrays), Path(snakemake.input.manifest))
    images, labels = small_images(dataset, SAMPLES)
    table = measure_product_error(images, labels, snakemake.params.steps)
    write_frame(table, dataset, Path(snakemake.output.table))
