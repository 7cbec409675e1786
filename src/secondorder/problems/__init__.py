"""Problems: a network, a loss and an augmentation on a dataset, one file each, found by its name.

``load("mnist_mlp")`` imports ``secondorder.problems.mnist_mlp``, which declares a dataclass ``Settings``, the tuple
``DATASETS`` of datasets it can be trained on (the first is the full one), and a function ``build(settings)`` that
returns a :class:`~secondorder.problems.problem.Problem`. Nothing else has to be edited for a new problem.
"""

import importlib
import pkgutil
from types import ModuleType

from secondorder.errors import ConfigurationError

SHARED_MODULES = frozenset({"problem", "activations"})


def available() -> list[str]:
    """Return the names of all problems, sorted."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__) if module.name not in SHARED_MODULES)


def load(name: str) -> ModuleType:
    """Return the module of the problem called ``name``; it has ``Settings``, ``DATASETS`` and ``build``.

    Raises:
        ConfigurationError: There is no such problem.
    """
    if name not in available():
        raise ConfigurationError(f"there is no problem {name!r}; there are {', '.join(available())}")
    return importlib.import_module(f"{__name__}.{name}")
