"""Optimizers behind one protocol: one file each, found by its name.

``load("adam")`` imports ``secondorder.optim.adam``, which declares a dataclass ``Settings`` and a function
``build(parameters, settings)``. Nothing else has to be edited for a new optimizer. One that runs others, which its
settings name, says so by a function ``uses(settings)``, which returns their names and settings.
"""

from collections.abc import Mapping
from typing import Any

from secondorder.discovery import NamedModules
from secondorder.settings import settings_from

_modules = NamedModules(__name__, "optimizer", "build")
available, load = _modules.available, _modules.load


def used(name: str, values: Mapping[str, Any]) -> list[str]:
    """Return the name of an optimizer and of all that it runs with these settings, each once.

    What it runs decides its results as its own code does. Only optimizers that run others are imported for it.

    Raises:
        ConfigurationError: There is no such optimizer, or a setting is none of it.
    """
    if not _modules.defines(name, "uses"):
        return [name]
    return sorted(_names(name, settings_from(load(name).Settings, values)))


def _names(name: str, settings: Any) -> set[str]:
    if not _modules.defines(name, "uses"):
        return {name}
    return {name}.union(*(_names(*further) for further in load(name).uses(settings)))
