"""Compute the whole Hessian of a perceptron's training loss, and all of its eigenvalues."""

from pathlib import Path

from secondorder.data.storage import load_dataset
from secondorder.job import job
from secondorder.training.device import make_deterministic, resolve_device
from secondorder.validation.full_hessian import Fitting, measure_full_hessian
from secondorder.validation.storage import write_frame

with job(snakemake.log[0]):
    make_deterministic(snakemake.params.threads)
    dataset = load_dataset(Path(snakemake.input.arrays), Path(snakemake.input.manifest))
    fitting = Fitting(*(snakemake.params[name] for name in ("hidden", "images", "epochs", "batch_size")))
    numbers, timing = measure_full_hessian(dataset, fitting, resolve_device(snakemake.params.device))
    write_frame(numbers, dataset, Path(snakemake.output.numbers))
    write_frame(timing, dataset, Path(snakemake.output.timing))
