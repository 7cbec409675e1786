"""How the methods of Hessian-vector products are named and drawn in every figure."""

from secondorder.plotting.style import RunStyle, run_styles

METHODS = {
    "complex_step": "complex step",
    "finite_difference": "finite difference",
    "r_operator": "R-operator",
    "forward_over_reverse": "forward over reverse",
    "double_backward": "double backward",
}
"""The name to show of each method, in the order of legends."""


def method_styles() -> dict[str, RunStyle]:
    """Return the style of each method."""
    return run_styles(list(METHODS))
