"""Families of methods, in the order that figures show them."""

from typing import Literal

FamilyName = Literal[
    "first_order",
    "quasi_newton",
    "exact_newton",
    "newton_krylov",
    "hessian_free",
    "diagonal",
    "kronecker",
    "low_rank",
    "hybrid",
    "other",
]

FAMILIES: dict[FamilyName, str] = {
    "first_order": "First order",
    "quasi_newton": "Quasi-Newton",
    "exact_newton": "Exact Newton",
    "newton_krylov": "Newton-Krylov",
    "hessian_free": "Hessian-free and sub-sampled",
    "diagonal": "Diagonal",
    "kronecker": "Kronecker",
    "low_rank": "Low rank",
    "hybrid": "Hybrid",
    "other": "Other",
}
"""The name to show of each."""
