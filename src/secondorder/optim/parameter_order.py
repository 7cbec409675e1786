"""What an optimizer that works with flat vectors asks of the parameters it is given."""

from collections.abc import Sequence

import torch

from secondorder.errors import InputError
from secondorder.training.objective import Objective


def check_parameters(own: Sequence[torch.nn.Parameter], objective: Objective) -> None:
    """Check that an optimizer moves what an objective is a function of, in the same order.

    The entries of its flat gradient would otherwise go to other parameters, without a word.

    Args:
        own: The parameters that the optimizer was built over.
        objective: The objective of the step.

    Raises:
        InputError: They are not the model's parameters that require a gradient, in the order of ``parameters()``.
    """
    if len(own) != len(objective.parameters) or any(a is not b for a, b in zip(own, objective.parameters, strict=True)):
        raise InputError(
            f"the optimizer was built over {len(own)} parameters that are not the {len(objective.parameters)} of the "
            "model that require a gradient, in their order; build it over list(model.parameters()), and anew when "
            "parameters are frozen"
        )
