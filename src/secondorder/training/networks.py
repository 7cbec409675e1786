"""The network of a run, built again from what its training was told."""

from collections.abc import Mapping

import torch
from torch import nn

from secondorder import problems
from secondorder.problems.problem import Problem
from secondorder.settings import settings_from
from secondorder.training.specification import RunSpecification


def build_problem(specification: RunSpecification) -> Problem:
    """Return the problem that a specification names, with its settings.

    Raises:
        ConfigurationError: There is no such problem or setting.
    """
    module = problems.load(specification.problem_module)
    built: Problem = module.build(settings_from(module.Settings, specification.problem_settings))
    return built


def rebuild_network(specification: RunSpecification, weights: Mapping[str, torch.Tensor]) -> nn.Module:
    """Return the network of a run with the given weights, in evaluation mode, on the CPU.

    The random number generators are left as they were.

    Args:
        specification: The run.
        weights: Weights and buffers by name, from :func:`~secondorder.training.snapshots.load_snapshot`.

    Raises:
        ConfigurationError: There is no such problem or setting.
    """
    with torch.random.fork_rng(devices=[]):
        network = build_problem(specification).network()
    network.load_state_dict(weights)
    return network.eval()
