"""Names of the tables of measurements, which figures and tables read like aggregated ones."""

OF_METHOD = ("exact_hessian", "growth", "growth_timing", "product_error", "product_cost", "product_cost_timing")
"""One of each for a tier: they concern the method and no trained network."""

OF_PROBLEM = ("spectrum", "directions", "sharpness")
"""One of each for a problem whose configuration asks for it."""

CURVATURE = (*OF_METHOD, *OF_PROBLEM)

PROBED = ("capabilities", "capabilities_timing")
"""One of each for every problem, of its network before training."""
