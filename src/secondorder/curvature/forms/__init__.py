"""Symmetric P × P matrices whose spectra are known in full although no P × P matrix is stored, and what makes them.

The matrices are the exact Hessian of a batch and its approximations (docs/methods.md, section "Approximations of a
Hessian"). Each is a :class:`~secondorder.curvature.forms.symmetric_form.SymmetricForm`, so that one comparison serves
all of them.
"""
