"""Compare approximations of Hessians with the exact ones along training."""

from pathlib import Path

from secondorder.data.storage import load_dataset
from secondorder.job import job
from secondorder.training.device import make_deterministic
from secondorder.training.networks import build_problem
from secondorder.validation.approximation_methods import approximation_methods
from secondorder.validation.approximations import compare_approximations
from secondorder.validation.storage import write_frame
from secondorder.validation.trained import collect_trained, networks_of, probes
from secondorder.validation.truth import Judgement

with job(snakemake.log[0]):
    make_deterministic(threads=1)
    settings = snakemake.params.settings
    dataset = load_dataset(Path(snakemake.input.arrays), Path(snakemake.input.data))
    runs = collect_trained(snakemake.params.specifications, snakemake.input.runs, Path(snakemake.input.data))
    reconstruct = build_problem(runs[0].specification).reconstructs
    batches = probes(dataset, 0, settings["batches"], settings["batch_size"], reconstruct=reconstruct)
    found = compare_approximations(
        networks_of(runs, settings["seeds"]),
        batches,
        approximation_methods(settings),
        Judgement(settings["pairs"], settings["damping"], settings["products"]),
    )
    tables = {"measures": found.measures, "timing": found.timing, "eigenvalues": found.eigenvalues}
    tables["densities"] = found.densities
    for name, table in tables.items():
        write_frame(table, dataset, Path(snakemake.output[name]))
