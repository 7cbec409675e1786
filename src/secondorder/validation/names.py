"""Names of the tables that the curvature stage leaves, which figures and tables read like aggregated ones."""

OF_METHOD = ("exact_hessian", "growth", "growth_timing", "product_error", "product_cost", "product_cost_timing")
"""One of each for a tier: they concern the method and no trained network."""

OF_PROBLEM = ("spectrum", "directions", "sharpness")
"""One of each for a problem whose configuration asks for it."""

CURVATURE = (*OF_METHOD, *OF_PROBLEM)
