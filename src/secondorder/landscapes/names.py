"""Names of the tables of the paths on analytic functions, one of each for a tier, and of the functions' arguments."""

OF_LANDSCAPES = ("trajectories", "landscape_outcomes")

ARGUMENTS = {"quadratic": ("condition", "dimension"), "rosenbrock": (), "strict_saddle": ("distance",)}
"""What makes a function of each kind; said apart from the functions, which take seconds to import."""
