"""Learning-rate schedules, as functions of the share of the budget that is spent.

They do not count steps, so that methods with different work per step follow the same schedule at the same spending.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from secondorder.errors import ConfigurationError

ScheduleName = Literal["constant", "cosine", "step"]


@dataclass(frozen=True)
class Schedule:
    """A schedule: the factor on the learning rate at share x of the budget, 0 ≤ x ≤ 1.

    Attributes:
        kind: ``constant``: 1. ``cosine``: (1 + cos πx)/2 (Loshchilov & Hutter 2017, without restarts). ``step``:
            gamma to the number of milestones at or below x.
        milestones: Shares of the budget at which ``step`` drops.
        gamma: The factor of each drop.
    """

    kind: ScheduleName = "constant"
    milestones: Sequence[float] = (0.5, 0.75)
    gamma: float = 0.1

    def __post_init__(self) -> None:
        """Refuse a kind that does not exist, which would pass for constant."""
        if self.kind not in get_args(ScheduleName):
            raise ConfigurationError(
                f"there is no schedule {self.kind!r}; there are {', '.join(get_args(ScheduleName))}"
            )

    def factor(self, spent: float) -> float:
        """Return the factor at the spent share of the budget."""
        if self.kind == "cosine":
            return 0.5 * (1 + math.cos(math.pi * min(spent, 1.0)))
        if self.kind == "step":
            return self.gamma ** sum(milestone <= spent for milestone in self.milestones)
        return 1.0
