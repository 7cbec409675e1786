"""Every evaluation of a model as the same function of its parameters."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from secondorder.training.randomness import get_random_state, set_random_state


@contextmanager
def buffers_apart(model: nn.Module) -> Iterator[None]:
    """Evaluate a model in this block on copies of its buffers, whose values the buffers have afterwards.

    A graph made in the block depends on the copies alone, so that it outlives changes of the buffers.

    Args:
        model: The model; its modules in training mode have buffers that move.
    """
    places = [
        (module, name, buffer)
        for module in model.modules()
        if module.training
        for name, buffer in module.named_buffers(recurse=False)
    ]
    for module, name, buffer in places:
        setattr(module, name, buffer.clone())
    try:
        yield
    finally:
        for module, name, buffer in places:
            moved = getattr(module, name)
            setattr(module, name, buffer)
            with torch.no_grad():
                buffer.copy_(moved)


class OneFunction:
    """A context for evaluations of a model that are to be one function.

    Each of them draws the same dropout masks, and the first alone moves the running statistics of normalisation. The
    random number generator is afterwards where it was, except for what the first one drew.

    Args:
        model: The model.
        device: Where it lies.
    """

    def __init__(self, model: nn.Module, device: torch.device) -> None:
        self._model = model
        self._device = device
        self._random_state: dict[str, torch.Tensor] | None = None

    @contextmanager
    def __call__(self) -> Iterator[None]:
        """Evaluate the model in this block."""
        if self._random_state is None:
            self._random_state = get_random_state(self._device)
            yield
            return
        outside = get_random_state(self._device)
        set_random_state(self._device, self._random_state)
        # Those of a module in evaluation mode do not move, and a copy onto them would spoil the graph.
        buffers = [b for module in self._model.modules() if module.training for b in module.buffers(recurse=False)]
        kept = [buffer.clone() for buffer in buffers]
        try:
            yield
        finally:
            set_random_state(self._device, outside)
            with torch.no_grad():
                for buffer, value in zip(buffers, kept, strict=True):
                    buffer.copy_(value)
