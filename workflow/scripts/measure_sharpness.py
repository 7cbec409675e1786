"""Measure how sharp the minima are that the runs on a problem found."""

from pathlib import Path

import torch

from secondorder.data.storage import load_dataset
from secondorder.job import job
from secondorder.training.device import make_deterministic
from secondorder.training.seed import Splits
from secondorder.validation.sharpness import Effort, measure_sharpness
from secondorder.validation.storage import write_frame
from secondorder.validation.trained import collect_trained

with job(snakemake.log[0]):
    make_deterministic(threads=1)
    dataset = load_dataset(Path(snakemake.input.arrays), Path(snakemake.input.data))
    runs = collect_trained(snakemake.params.specifications, snakemake.input.runs, Path(snakemake.input.data))
    effort = Effort(*(snakemake.params[name] for name in ("images", "tolerance", "products", "probes")))
    table = measure_sharpness(runs, Splits.of(dataset, torch.device("cpu")), effort)
    write_frame(table, dataset, Path(snakemake.output.table))
