"""The spectrum of the exact Hessian along training."""

from collections.abc import Iterable, Sequence

import pandas as pd

from secondorder.curvature.exact_hessian import ExactHessian
from secondorder.validation.trained import Probe, TrainedNetwork


def track_spectrum(networks: Iterable[TrainedNetwork], probes: Sequence[Probe]) -> pd.DataFrame:
    """Return all eigenvalues that the closed form finds, of the loss without the penalty, in float64.

    Args:
        networks: The networks at each moment of their trainings.
        probes: What the Hessian is of.

    Returns:
        Columns problem, run, seed, share, spent, kind, sample (number of the probe), samples, rank, parameters,
        certificate (largest residual ‖Hv − λv‖ of the ten largest over the largest |eigenvalue|), index and
        eigenvalue, in ascending order.
    """
    frames = []
    for network in networks:
        model = network.model.double()
        for probe in probes:
            exact = ExactHessian(model, network.loss, probe.inputs, probe.targets)
            about = {
                **network.names,
                "kind": probe.kind,
                "sample": probe.index,
                "samples": len(probe.inputs),
                "rank": exact.rank,
                "parameters": exact.parameter_count,
                "certificate": exact.certificate().relative,
            }
            eigenvalues = exact.eigenvalues().numpy()
            frame = pd.DataFrame({"index": range(len(eigenvalues)), "eigenvalue": eigenvalues})
            frames.append(frame.assign(**about)[[*about, "index", "eigenvalue"]])
    return pd.concat(frames, ignore_index=True)
