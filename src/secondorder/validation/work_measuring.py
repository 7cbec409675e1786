"""What a computation multiplies: the cost of methods that differ in kind, in one currency.

PyTorch has formulas for the operations of matrix products and convolutions, and tells of every one that runs, so that a
method of this project and one of a library are counted alike. It has none for products that are added to a matrix in
place, for those with a vector and for decompositions, which are added. What is done entry by entry, and work outside of
PyTorch, such as the vectors that ARPACK keeps orthogonal, is not seen.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from secondorder.curvature.symmetric import EIGEN_PRICE

Result = TypeVar("Result")

_aten = torch.ops.aten
_WITH_VECTORS = {_aten.mv: 0, _aten.addmv: 1, _aten.addmv_: 1}
"""Products of a matrix with a vector, and which argument the matrix is."""
_IN_PLACE = {_aten.addmm_: _aten.addmm, _aten.baddbmm_: _aten.baddbmm}
"""Products that are added in place, and the operation with the same formula."""


def _singular_values(longer: int, shorter: int) -> float:
    return 3.0 * longer * shorter**2 + 10.0 * shorter**3


def _orthogonal_triangular(longer: int, shorter: int) -> float:
    return 2.0 * longer * shorter**2


def _eigenpairs(_longer: int, shorter: int) -> float:
    return EIGEN_PRICE * shorter**3


_DECOMPOSITIONS = {
    _aten._linalg_eigh: _eigenpairs,
    _aten._linalg_svd: _singular_values,
    _aten.linalg_qr: _orthogonal_triangular,
}
"""Decompositions and their multiplications, by the longer and the shorter side."""


def multiplications_of(task: Callable[[], Result]) -> tuple[Result, float]:
    """Return what a task returns, and its multiplications.

    An eigendecomposition of an r × r matrix has 4.5 r³, a QR factorization of an n × m matrix with both factors 2 n m²
    and a singular value decomposition 3 n m² + 10 m³, m the shorter side (Golub & Van Loan 2013, sections 8.3.1, 5.2.2
    and 8.6.3).

    Args:
        task: The computation.
    """
    with _Counter() as counter:
        result = task()
    # A multiplication and an addition are two operations.
    return result, counter.operations / 2


class _Counter(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Adds up the operations that run in its block; PyTorch's own counter also follows modules, which tapes disturb."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.operations = 0.0

    def __torch_dispatch__(
        self, func: Any, types: Sequence[type], args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Run an operation, and count it."""
        given = dict(kwargs or {})
        result = func(*args, **given)
        operation = _IN_PLACE.get(func._overloadpacket, func._overloadpacket)
        if operation in _WITH_VECTORS:
            self.operations += 2 * args[_WITH_VECTORS[operation]].numel()
        elif operation in _DECOMPOSITIONS:
            *groups, rows, columns = args[0].shape
            price = _DECOMPOSITIONS[operation](max(rows, columns), min(rows, columns))
            self.operations += 2 * math.prod(groups) * price
        elif formula := flop_registry.get(operation):
            self.operations += formula(*args, **given, out_val=result)
        return result
