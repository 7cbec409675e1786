"""Which run can train which problem: a step of each, on a few real samples.

It is found by trying, so that it cannot differ from what the optimizers do: a step that an optimizer refuses ends with
a CapabilityError, whose text is the reason. An optimizer whose first step leaves out what later ones do says so by a
function ``kinds_of_steps(settings)``: settings for each kind of step, with which the first step is one of it.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
import torch

from secondorder import optim
from secondorder.errors import CapabilityError, ResultError
from secondorder.settings import settings_from
from secondorder.training.batches import BatchOrder, DeviceSplit
from secondorder.training.networks import build_problem
from secondorder.training.objective import Objective
from secondorder.training.randomness import stream_seed
from secondorder.training.specification import RunSpecification
from secondorder.training.work import Work


@dataclass(frozen=True)
class Probed:
    """What came of a step of each kind.

    Attributes:
        refusal: Why the optimizer refuses the problem; empty where it takes the steps.
        gradient_equivalents: Work of the dearest step, in gradients over the same samples; NaN where one is refused.
        seconds: Of that step, with the checks that a first step makes; NaN where one is refused.
    """

    refusal: str
    gradient_equivalents: float
    seconds: float


def probe_capabilities(
    specifications: Sequence[RunSpecification], trained: Sequence[str], training: DeviceSplit, samples: int
) -> pd.DataFrame:
    """Return one row per run of a problem.

    Args:
        specifications: The runs, all on one problem, those that the problem leaves out among them.
        trained: Names of those that it trains.
        training: The training split of the problem's dataset.
        samples: Most samples of a step; fewer where a run's own batches are smaller.

    Returns:
        Columns problem, run, trained, samples, and those of :class:`Probed`.

    Raises:
        ResultError: A run that the problem trains refuses it.
    """
    rows: list[dict[str, Any]] = []
    for specification in specifications:
        used = min(samples, specification.batch_size)
        probed = probe(specification, training, used)
        if probed.refusal and specification.run in trained:
            raise ResultError(
                f"problems.{specification.problem}: trains the run {specification.run!r}, which refuses it: "
                f"{probed.refusal}. Put the run into the problem's `without`"
            )
        names = {"problem": specification.problem, "run": specification.run}
        rows.append({**names, "trained": specification.run in trained, "samples": used, **vars(probed)})
    return pd.DataFrame(rows)


def probe(specification: RunSpecification, training: DeviceSplit, samples: int) -> Probed:
    """Take a first step of each kind, as the training of a run's first seed would with batches of ``samples``.

    Args:
        specification: The run.
        training: The training split of its dataset.
        samples: Samples of the step.
    """
    module = optim.load(specification.optimizer)
    settings = settings_from(module.Settings, specification.optimizer_settings)
    kinds = module.kinds_of_steps(settings) if hasattr(module, "kinds_of_steps") else [settings]
    probed = [_first_step(specification, kind, training, samples) for kind in kinds]
    refused = [each for each in probed if each.refusal]
    return refused[0] if refused else max(probed, key=lambda each: each.gradient_equivalents)


def _first_step(specification: RunSpecification, settings: Any, training: DeviceSplit, samples: int) -> Probed:
    seed = specification.seeds[0]
    problem = build_problem(specification)
    work = Work(samples)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(stream_seed(seed, "initialisation"))
        model = problem.network().train()
        torch.manual_seed(stream_seed(seed, "training"))
        batches = BatchOrder(training, samples, seed, problem.augmentation, reconstruct=problem.reconstructs)
        inputs, targets = batches.next_batch()
        optimizer = optim.load(specification.optimizer).build(
            [parameter for parameter in model.parameters() if parameter.requires_grad], settings
        )
        objective = Objective(model, problem.loss, inputs, targets, work, problem.penalty)
        started = time.perf_counter()
        try:
            optimizer.step(objective, 1.0)
        except CapabilityError as error:
            return Probed(" ".join(str(error).split()), float("nan"), float("nan"))
    return Probed("", work.gradient_equivalents, time.perf_counter() - started)
