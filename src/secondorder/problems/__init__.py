"""Problems: a network, a loss and an augmentation on a dataset, one file each, found by its name.

``load("mnist_mlp")`` imports ``secondorder.problems.mnist_mlp``, which declares a dataclass ``Settings``, the tuple
``DATASETS`` of datasets it can be trained on (the first is the full one), and a function ``build(settings)`` that
returns a :class:`~secondorder.problems.problem.Problem`. Nothing else has to be edited for a new problem.
"""

from secondorder.discovery import NamedModules

_modules = NamedModules(__name__, "problem", "build")
available, load = _modules.available, _modules.load
