"""Analytic functions whose Hessian, minimum and saddle are known, and the paths that optimizers take on them."""
