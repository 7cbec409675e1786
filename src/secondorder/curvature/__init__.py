"""Curvature of a loss: products with its Hessian."""
