"""Curvature of a loss: the exact stochastic Hessian in closed form, and products with it."""

from secondorder.curvature.adjustments import ADJUSTMENTS
from secondorder.curvature.exact_hessian import Certificate, ExactHessian, PerSampleHessians

__all__ = ["ADJUSTMENTS", "Certificate", "ExactHessian", "PerSampleHessians"]
