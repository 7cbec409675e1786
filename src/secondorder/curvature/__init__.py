"""Curvature of a loss: the exact stochastic Hessian in closed form, and products with Hessian and Gauss-Newton."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from secondorder.curvature.adjustments import ADJUSTMENTS
    from secondorder.curvature.eigenpair_certificate import PairCertificate
    from secondorder.curvature.exact_hessian import ExactHessian, PerSampleHessians
    from secondorder.curvature.gauss_newton_products import GaussNewtonProducts
    from secondorder.curvature.hessian_vector_products import METHODS, HessianVectorProducts, hessian_vector_product

__all__ = [
    "ADJUSTMENTS",
    "METHODS",
    "ExactHessian",
    "GaussNewtonProducts",
    "HessianVectorProducts",
    "PairCertificate",
    "PerSampleHessians",
    "hessian_vector_product",
]

_MODULES = {
    "ADJUSTMENTS": "adjustments",
    "METHODS": "hessian_vector_products",
    "ExactHessian": "exact_hessian",
    "GaussNewtonProducts": "gauss_newton_products",
    "HessianVectorProducts": "hessian_vector_products",
    "PairCertificate": "eigenpair_certificate",
    "PerSampleHessians": "exact_hessian",
    "hessian_vector_product": "hessian_vector_products",
}


def __getattr__(name: str) -> Any:
    """Return a name of the package from its module.

    The package itself imports none of them: training imports its products alone, and an edit of the exact Hessian is
    no reason to train SGD again. So code of this project imports from the modules.
    """
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
