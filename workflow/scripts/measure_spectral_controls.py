"""Make faults in spectra of a trained network, which the checks of spectra have to notice."""

from pathlib import Path

from secondorder.data.storage import load_dataset
from secondorder.job import job
from secondorder.training.device import make_deterministic
from secondorder.training.networks import build_problem
from secondorder.validation.spectral_controls import control_spectra
from secondorder.validation.storage import write_frame
from secondorder.validation.trained import collect_trained, networks_of, probes

with job(snakemake.log[0]):
    make_deterministic(threads=1)
    dataset = load_dataset(Path(snakemake.input.arrays), Path(snakemake.input.data))
    runs = collect_trained(snakemake.params.specifications, snakemake.input.runs, Path(snakemake.input.data))
    reconstruct = build_problem(runs[0].specification).reconstructs
    (probe,) = probes(dataset, 0, 1, snakemake.params.samples, reconstruct=reconstruct)
    write_frame(control_spectra(networks_of(runs), probe), dataset, Path(snakemake.output.table))
