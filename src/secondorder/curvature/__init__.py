"""Curvature of a loss: the exact stochastic Hessian in closed form, and products with it."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from secondorder.curvature.adjustments import ADJUSTMENTS
    from secondorder.curvature.exact_hessian import Certificate, ExactHessian, PerSampleHessians

__all__ = ["ADJUSTMENTS", "Certificate", "ExactHessian", "PerSampleHessians"]

_MODULES = {
    "ADJUSTMENTS": "adjustments",
    "Certificate": "exact_hessian",
    "ExactHessian": "exact_hessian",
    "PerSampleHessians": "exact_hessian",
}


def __getattr__(name: str) -> Any:
    """Return a name of the package from its module.

    The package itself imports none of them: training imports its products alone, and an edit of the exact Hessian is
    no reason to train SGD again. So code of this project imports from the modules.
    """
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
