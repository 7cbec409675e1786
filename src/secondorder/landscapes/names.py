"""Names of the tables of the paths on analytic functions, one of each for a tier."""

OF_LANDSCAPES = ("trajectories", "landscape_outcomes")
