"""Why an iteration in a Krylov space ended; apart from the iterations, so that statistics need no PyTorch."""

from enum import IntEnum


class KrylovEnd(IntEnum):
    """Why an iteration ended; its number is what a run records."""

    CONVERGED = 0
    """The residual is below the tolerance, or whoever watched the iterates asked for no better one."""
    DISTURBED = 1
    """The curvature along a conjugate direction is negative, or noise."""
    CAPPED = 2
    """All products that were allowed are used."""
    ZERO_GRADIENT = 3
    """The gradient is zero, or its square is below the smallest number."""
    NOT_FINITE = 4
    """The gradient or a product is not finite, so the direction is not a number."""
    BOUNDARY = 5
    """The direction has reached the boundary of the trust region."""
