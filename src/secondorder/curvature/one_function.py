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
    places = _moving(model)
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

    Each of them draws the same dropout masks and starts from the same buffers, which the first alone moves. The
    random number generator is afterwards where it was, except for what the first one drew.

    Args:
        model: The model.
        device: Where it lies.
    """

    def __init__(self, model: nn.Module, device: torch.device) -> None:
        self._model = model
        self._device = device
        self._random_state: dict[str, torch.Tensor] | None = None
        self._buffers: list[tuple[nn.Module, str, torch.Tensor]] = []

    @contextmanager
    def __call__(self) -> Iterator[None]:
        """Evaluate the model in this block."""
        if self._random_state is None:
            self._random_state = get_random_state(self._device)
            self._buffers = [(module, name, buffer.clone()) for module, name, buffer in _moving(self._model)]
            yield
            return
        outside = get_random_state(self._device)
        set_random_state(self._device, self._random_state)
        # Copies move in place of the buffers, because a value copied back would spoil a graph or a tape that is kept.
        places = [(module, name, module.get_buffer(name)) for module, name, _ in self._buffers]
        for module, name, buffer in self._buffers:
            module._buffers[name] = buffer.clone()
        try:
            yield
        finally:
            set_random_state(self._device, outside)
            for module, name, buffer in places:
                module._buffers[name] = buffer


def _moving(model: nn.Module) -> list[tuple[nn.Module, str, torch.Tensor]]:
    """Return the buffers of modules in training mode; those of the others do not move."""
    return [
        (module, name, buffer)
        for module in model.modules()
        if module.training
        for name, buffer in module.named_buffers(recurse=False)
    ]
