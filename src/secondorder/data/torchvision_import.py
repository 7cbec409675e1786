"""The one place that imports torchvision, including beside a CPU build of torch that lacks its compiled operators."""

import importlib
import sys
from types import ModuleType
from typing import Any

_SCHEMAS = {
    "nms": "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms": "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
}

# torch forgets a schema as soon as the Library object that declared it is collected.
_declared_libraries: list[Any] = []


def import_torchvision() -> ModuleType:
    """Import torchvision, declaring the schemas of its box operators when its own compiled library is unusable.

    torchvision's wheel is built for a GPU build of torch. Beside a CPU build its compiled library does not load and the
    import stops with "operator torchvision::nms does not exist"; with the schemas declared, its data sets, transforms
    and models work. The plain import is tried first, because a library that does load declares the schemas itself and
    refuses a second declaration.

    Returns:
        The module ``torchvision``.

    Raises:
        ImportError: torchvision is not installed.
        RuntimeError: torchvision does not fit the installed torch for another reason.
    """
    try:
        return importlib.import_module("torchvision")
    except RuntimeError as error:
        if "operator torchvision::" not in str(error):
            raise
    _forget_partial_import()
    _declare_missing_schemas()
    return importlib.import_module("torchvision")


def _forget_partial_import() -> None:
    for name in [name for name in sys.modules if name == "torchvision" or name.startswith("torchvision.")]:
        del sys.modules[name]


def _declare_missing_schemas() -> None:
    torch = importlib.import_module("torch")
    missing = [schema for name, schema in _SCHEMAS.items() if not hasattr(torch.ops.torchvision, name)]
    if not missing:
        return
    library = torch.library.Library("torchvision", "DEF")
    for schema in missing:
        library.define(schema)
    _declared_libraries.append(library)
