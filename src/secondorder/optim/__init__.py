"""Optimizers behind one protocol: one file each, found by its name.

``load("adam")`` imports ``secondorder.optim.adam``, which declares a dataclass ``Settings`` and a function
``build(parameters, settings)``. Nothing else has to be edited for a new optimizer.
"""

from secondorder.discovery import NamedModules

_modules = NamedModules(__name__, "optimizer", "build")
available, load = _modules.available, _modules.load
