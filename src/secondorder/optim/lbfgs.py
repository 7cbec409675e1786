"""L-BFGS: a quasi-Newton direction from the last few steps and gradient differences.

Source: Nocedal 1980; Liu & Nocedal 1989, in the form ``torch.optim.LBFGS`` implements, with its strong-Wolfe line
search. On mini-batches the gradient differences of successive steps come from different functions, which the method
does not allow for; a run gives it large batches and several iterations on each.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import torch

from secondorder.optim.torch_adapter import TorchOptimizer
from secondorder.settings import DeclaredSettings, setting


@dataclass(frozen=True)
class Settings(DeclaredSettings):
    """Settings of L-BFGS; the defaults are torch's but for fewer iterations, a shorter history and the line search."""

    learning_rate: float = setting(1.0, "First trial step of each line search; 1 is the quasi-Newton step.", above=0)
    iterations: int = setting(5, "Most iterations on one mini-batch.", at_least=1)
    evaluations: int = setting(10, "Most gradient evaluations on one mini-batch, line searches included.", at_least=1)
    history: int = setting(10, "Curvature pairs kept; torch keeps 100.", at_least=1)
    line_search: bool = setting(True, "Search along each direction for the strong Wolfe conditions.")


def build(parameters: Iterable[torch.nn.Parameter], settings: Settings) -> TorchOptimizer:
    """Return L-BFGS over ``parameters``."""
    return TorchOptimizer(
        torch.optim.LBFGS(
            parameters,
            lr=settings.learning_rate,
            max_iter=settings.iterations,
            max_eval=settings.evaluations,
            history_size=settings.history,
            line_search_fn="strong_wolfe" if settings.line_search else None,
        ),
        closure=True,
    )
