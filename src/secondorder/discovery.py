"""Modules found by their name: how a new optimizer, problem, figure or table is one new file and nothing else."""

import importlib
import pkgutil
import sys
from collections.abc import Set
from dataclasses import dataclass
from types import ModuleType

from secondorder.errors import ConfigurationError


@dataclass(frozen=True)
class NamedModules:
    """The modules of a package, but for those that they share.

    Attributes:
        package: The package's name.
        kind: What each module is, for messages.
        shared: Modules of the package that are none.
    """

    package: str
    kind: str
    shared: Set[str] = frozenset()

    def available(self) -> list[str]:
        """Return all names, sorted."""
        modules = pkgutil.iter_modules(sys.modules[self.package].__path__)
        return sorted(module.name for module in modules if module.name not in self.shared)

    def load(self, name: str) -> ModuleType:
        """Return the module called ``name``.

        Raises:
            ConfigurationError: There is none.
        """
        if name not in self.available():
            raise ConfigurationError(f"there is no {self.kind} {name!r}; there are {', '.join(self.available())}")
        return importlib.import_module(f"{self.package}.{name}")
