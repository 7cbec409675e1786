"""Tables: one per module, found by its name, from aggregated tables to CSV, Markdown and LaTeX.

``load("final_metric")`` imports ``secondorder.tables.final_metric``, which has a function ``build(tables, context)``
that returns a :class:`~secondorder.tables.table.Table`.
"""

from secondorder.discovery import NamedModules

_modules = NamedModules(__name__, "table", "build")
available, load = _modules.available, _modules.load
