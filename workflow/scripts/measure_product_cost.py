"""Measure what Hessian-vector products by every method cost as batches and networks grow."""

from pathlib import Path

from secondorder.data.storage import load_dataset
from secondorder.job import job
from secondorder.training.device import make_deterministic
from secondorder.validation.networks import small_images
from secondorder.validation.product_cost import measure_product_cost
from secondorder.validation.product_networks import PIXELS
from secondorder.validation.storage import write_frame

with job(snakemake.log[0]):
    make_deterministic(threads=1)
    dataset = load_dataset(Path(snakemake.input.arrays), Path(snakemake.input.manifest))
    images, labels = small_images(dataset, max(snakemake.params.batch_sizes), PIXELS)
    numbers, timing = measure_product_cost(
        images, labels, snakemake.params.batch_sizes, snakemake.params.widths, snakemake.params.repeats
    )
    write_frame(numbers, dataset, Path(snakemake.output.numbers))
    write_frame(timing, dataset, Path(snakemake.output.timing))
