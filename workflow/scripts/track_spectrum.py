"""Find the spectrum of the exact Hessian along training."""

from pathlib import Path

from secondorder.data.storage import load_dataset
from secondorder.job import job
from secondorder.training.device import make_deterministic
from secondorder.training.networks import build_problem
from secondorder.validation.spectrum import track_spectrum
from secondorder.validation.storage import write_frame
from secondorder.validation.trained import collect_trained, networks_of, probes

with job(snakemake.log[0]):
    make_deterministic(threads=1)
    dataset = load_dataset(Path(snakemake.input.arrays), Path(snakemake.input.data))
    runs = collect_trained(snakemake.params.specifications, snakemake.input.runs, Path(snakemake.input.data))
    sizes = (snakemake.params.samples, snakemake.params.batches, snakemake.params.batch_size)
    chosen = probes(dataset, *sizes, reconstruct=build_problem(runs[0].specification).reconstructs)
    table = track_spectrum(networks_of(runs), chosen)
    write_frame(table, dataset, Path(snakemake.output.table))
