"""Names of the tables of measurements, which figures and tables read like aggregated ones."""

OF_FULL_HESSIAN = ("full_hessian", "full_hessian_timing")
"""Those that are of a dataset of their own."""

OF_METHOD = (
    "exact_hessian",
    "growth",
    "growth_timing",
    "product_error",
    "product_cost",
    "product_cost_timing",
    *OF_FULL_HESSIAN,
)
"""One of each for a tier: they concern the method and no trained network."""

OF_PROBLEM = {
    "spectrum": "spectrum",
    "directions": "directions",
    "sharpness": "sharpness",
    "approximations": "approximations",
    "approximations_timing": "approximations",
    "approximate_eigenvalues": "approximations",
    "approximate_densities": "approximations",
    "spectral_controls": "approximations",
}
"""One of each for a problem that asks for it, by what its configuration lists to ask."""

CURVATURE = (*OF_METHOD, *OF_PROBLEM)

PROBED = ("capabilities", "capabilities_timing")
"""One of each for every problem, of its network before training."""
