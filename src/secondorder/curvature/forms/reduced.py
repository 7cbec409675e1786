"""What is left of a matrix when little of it is kept: its diagonal, or its leading eigenpairs."""

from secondorder.curvature.forms.diagonal import DiagonalForm
from secondorder.curvature.forms.low_rank import LowRankForm
from secondorder.curvature.forms.symmetric_form import SymmetricForm


def diagonal_form(form: LowRankForm) -> DiagonalForm:
    """Return the diagonal of M = V diag(s) Vᵀ + b (I − V Vᵀ): the best diagonal matrix in the Frobenius norm.

    Args:
        form: M.
    """
    return DiagonalForm(form.vectors.square() @ (form.values - form.background) + form.background)


def leading_form(form: SymmetricForm, count: int) -> LowRankForm:
    """Return Σ λ_i q_i q_iᵀ over the ``count`` pairs of largest |λ|.

    No matrix of this rank is nearer in the Frobenius norm (Eckart & Young 1936).

    Args:
        form: M.
        count: k.

    Raises:
        InputError: k is not between 1 and P.
    """
    pairs = form.leading(count)
    return LowRankForm(pairs.values, pairs.vectors)
