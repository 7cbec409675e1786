"""Which module of a network a function is called in."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import nn
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook


class ModuleNames:
    """Knows, while a forward pass runs, which module is at work.

    Args:
        module: The network.
    """

    def __init__(self, module: nn.Module) -> None:
        self._names = {id(child): name or type(child).__name__ for name, child in module.named_modules()}
        self._inside: list[str] = []

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Keep track of the modules that are entered within this block."""

        def enter(child: nn.Module, _: Any) -> None:
            self._inside.append(self._names.get(id(child), type(child).__name__))

        def leave(_child: nn.Module, _inputs: Any, _outputs: Any) -> None:
            self._inside.pop()

        handles = [register_module_forward_pre_hook(enter), register_module_forward_hook(leave, always_call=True)]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    @property
    def current(self) -> str | None:
        """The name of the innermost module at work; None outside of all."""
        return self._inside[-1] if self._inside else None
