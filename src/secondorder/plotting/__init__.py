"""Plotting: one figure per module, found by its name, all in one style.

``load("training_curves")`` imports ``secondorder.plotting.training_curves``, which has the functions
``draw(tables, context)``, which returns a Matplotlib figure, and ``caption(context)``. Figures read aggregated tables
only.
"""

from secondorder.discovery import NamedModules

_modules = NamedModules(__name__, "figure", "draw")
available, load = _modules.available, _modules.load
