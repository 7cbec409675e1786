"""Validation: what is claimed of exact curvature, measured against independent truth and along training."""
