"""Try one step of every run on a problem."""

from pathlib import Path

import torch

from secondorder.data.storage import load_dataset
from secondorder.job import job
from secondorder.training.device import make_deterministic
from secondorder.training.seed import Splits
from secondorder.training.specification import RunSpecification
from secondorder.validation.capabilities import probe_capabilities
from secondorder.validation.storage import write_frame

with job(snakemake.log[0]):
    make_deterministic(threads=1)
    dataset = load_dataset(Path(snakemake.input.arrays), Path(snakemake.input.data))
    training = Splits.of(dataset, torch.device("cpu")).training
    specifications = [RunSpecification.from_mapping(given) for given in snakemake.params.specifications]
    table = probe_capabilities(specifications, snakemake.params.trained, training, snakemake.params.samples)
    timing = ["problem", "run", "seconds"]
    write_frame(table.drop(columns="seconds"), dataset, Path(snakemake.output.capabilities))
    write_frame(table[timing], dataset, Path(snakemake.output.timing))
