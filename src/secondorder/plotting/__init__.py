"""Plotting: one figure per module, found by its name, all in one style.

``load("training_curves")`` imports ``secondorder.plotting.training_curves``, which has the functions
``draw(tables, context)``, which returns a Matplotlib figure, and ``caption(context)``. Figures read aggregated tables
only.
"""

import importlib
import pkgutil
from types import ModuleType

from secondorder.errors import ConfigurationError

SHARED_MODULES = frozenset({"saving", "style"})


def available() -> list[str]:
    """Return the names of all figures, sorted."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__) if module.name not in SHARED_MODULES)


def load(name: str) -> ModuleType:
    """Return the module of the figure called ``name``; it has ``draw``.

    Raises:
        ConfigurationError: There is no such figure.
    """
    if name not in available():
        raise ConfigurationError(f"there is no figure {name!r}; there are {', '.join(available())}")
    return importlib.import_module(f"{__name__}.{name}")
