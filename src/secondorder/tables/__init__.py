"""Tables: one per module, found by its name, from aggregated tables to CSV, Markdown and LaTeX.

``load("accuracy")`` imports ``secondorder.tables.accuracy``, which has a function ``build(tables, context)`` that
returns a :class:`~secondorder.tables.table.Table`.
"""

import importlib
import pkgutil
from types import ModuleType

from secondorder.errors import ConfigurationError

SHARED_MODULES = frozenset({"table"})


def available() -> list[str]:
    """Return the names of all tables, sorted."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__) if module.name not in SHARED_MODULES)


def load(name: str) -> ModuleType:
    """Return the module of the table called ``name``; it has ``build``.

    Raises:
        ConfigurationError: There is no such table.
    """
    if name not in available():
        raise ConfigurationError(f"there is no table {name!r}; there are {', '.join(available())}")
    return importlib.import_module(f"{__name__}.{name}")
