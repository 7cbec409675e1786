"""Optimizers behind one protocol: one file each, found by its name.

``load("adam")`` imports ``secondorder.optim.adam``, which declares a dataclass ``Settings`` and a function
``build(parameters, settings)``. Nothing else has to be edited for a new optimizer; a name that starts with an
underscore, and the modules in ``SHARED_MODULES``, are not optimizers.
"""

import importlib
import pkgutil
from types import ModuleType

from secondorder.errors import ConfigurationError

SHARED_MODULES = frozenset({"protocol", "torch_adapter"})


def available() -> list[str]:
    """Return the names of all optimizers, sorted."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__) if module.name not in SHARED_MODULES)


def load(name: str) -> ModuleType:
    """Return the module of the optimizer called ``name``; it has ``Settings`` and ``build``.

    Raises:
        ConfigurationError: There is no such optimizer.
    """
    if name not in available():
        raise ConfigurationError(f"there is no optimizer {name!r}; there are {', '.join(available())}")
    return importlib.import_module(f"{__name__}.{name}")
