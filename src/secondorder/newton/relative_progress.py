"""The end of conjugate gradients where the model they minimise hardly decreases any more.

Source: Martens 2010, section 4.4.
"""

from secondorder.newton.krylov_solution import Iterate

FEWEST = 10
"""Updates that progress is measured over, at least."""


class RelativeProgress:
    """Watches φ(d_i) = gᵀd_i + ½ d_iᵀH d_i, and says when its progress per update is below a share of itself.

    That is where i > k, φ(d_i) < 0 and (φ(d_i) − φ(d_{i−k})) / φ(d_i) < k ε, with k = max(10, ⌈0.1 i⌉). The residual,
    which other tests look at, may grow while φ falls.

    Args:
        share: ε; 0 never ends an iteration whose model decreases.
    """

    def __init__(self, share: float) -> None:
        self._share = share
        self._changes: list[float] = []

    def __call__(self, iterate: Iterate) -> bool:
        """Return whether the iteration is to end with this iterate."""
        self._changes.append(iterate.change())
        return has_stalled(self._changes, self._share)


def has_stalled(changes: list[float], share: float) -> bool:
    """Return whether the last of the values φ(d_1), φ(d_2) … passes the test.

    Args:
        changes: The values, from the first update on.
        share: ε.
    """
    updates = len(changes)
    # In whole numbers: 0.1 i in binary fractions may lie above the number it is.
    interval = max(FEWEST, -(-updates // 10))
    last = changes[-1]
    return updates > interval and last < 0 and (last - changes[-1 - interval]) / last < interval * share
