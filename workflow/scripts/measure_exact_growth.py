"""Measure what the closed form and the dense matrix cost as a network grows."""

from pathlib import Path

from secondorder.data.storage import load_dataset
from secondorder.job import job
from secondorder.training.device import make_deterministic
from secondorder.validation.growth import Limits, measure_growth
from secondorder.validation.networks import small_images
from secondorder.validation.storage import write_frame

with job(snakemake.log[0]):
    make_deterministic(threads=1)
    dataset = load_dataset(Path(snakemake.input.arrays), Path(snakemake.input.manifest))
    limits = Limits(snakemake.params.dense_parameters, snakemake.params.memory_megabytes * 2**20)
    images, labels = small_images(dataset, samples=1)
    numbers, timing = measure_growth(images, labels, snakemake.params.widths, snakemake.params.repeats, limits)
    write_frame(numbers, dataset, Path(snakemake.output.numbers))
    write_frame(timing, dataset, Path(snakemake.output.timing))
