"""Modules found by their name: how a new optimizer, problem, figure or table is one new file and nothing else."""

import ast
import importlib
import pkgutil
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType

from secondorder.errors import ConfigurationError


@dataclass(frozen=True)
class NamedModules:
    """The modules of a package that define a certain function; what they share lies beside them and defines none.

    Attributes:
        package: The package's name.
        kind: What each module is, for messages.
        function: The function that makes a module one of them.
    """

    package: str
    kind: str
    function: str

    def available(self) -> list[str]:
        """Return all names, sorted. Nothing is imported for it, because some modules are slow to import."""
        modules = [
            (module.name, folder) for folder in self._folders() for module in pkgutil.iter_modules([str(folder)])
        ]
        return sorted(name for name, folder in modules if self.function in _functions_now(folder / f"{name}.py"))

    def load(self, name: str) -> ModuleType:
        """Return the module called ``name``.

        Raises:
            ConfigurationError: There is none.
        """
        self._require(name)
        return importlib.import_module(f"{self.package}.{name}")

    def defines(self, name: str, function: str) -> bool:
        """Return whether the module called ``name`` defines a function; nothing is imported for it.

        Raises:
            ConfigurationError: There is no such module.
        """
        self._require(name)
        return self._has(name, function)

    def _require(self, name: str) -> None:
        if not self._has(name, self.function):
            raise ConfigurationError(f"there is no {self.kind} {name!r}; there are {', '.join(self.available())}")

    def _has(self, name: str, function: str) -> bool:
        return name.isidentifier() and any(
            function in _functions_now(folder / f"{name}.py") for folder in self._folders()
        )

    def _folders(self) -> list[Path]:
        return [Path(folder) for folder in sys.modules[self.package].__path__]


def _functions_now(source: Path) -> frozenset[str]:
    """Return the names of the functions that a file defines at its top level; none for a package."""
    if not source.is_file():
        return frozenset()
    status = source.stat()
    return _functions(source, status.st_mtime_ns, status.st_size)


@cache
def _functions(source: Path, _modified: int, _size: int) -> frozenset[str]:
    """Return the names of the functions in a file; parsed again when the file has changed."""
    tree = ast.parse(source.read_text(encoding="utf-8"))
    return frozenset(node.name for node in tree.body if isinstance(node, ast.FunctionDef))
