"""Every form of a symmetric matrix says what the dense matrix does: spectrum, leading pairs, products, direction."""

import pytest
import torch

from secondorder.curvature.forms.block_diagonal import BlockDiagonalForm
from secondorder.curvature.forms.diagonal import DiagonalForm
from secondorder.curvature.forms.kronecker import KroneckerForm
from secondorder.curvature.forms.low_rank import LowRankForm
from secondorder.curvature.forms.reduced import diagonal_form, leading_form
from secondorder.errors import ConfigurationError, InputError

EXACT = {"rtol": 1e-12, "atol": 1e-13}


def numbers(*shape, seed=0):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def orthonormal(rows, columns, seed=0):
    return torch.linalg.qr(numbers(rows, rows, seed=seed)).Q[:, :columns]


def values(*given):
    return torch.tensor(given, dtype=torch.float64)


VALUES, VECTORS = values(3.0, -0.5, 0.25, -4.0), orthonormal(9, 4)
ENTRIES = values(2.0, 0.0, -3.0, 0.0, 0.5)
OUT, IN, MOMENTS = orthonormal(3, 3, seed=1), orthonormal(4, 4, seed=2), numbers(3, 4, seed=3)
LOW, WIDE = LowRankForm(VALUES, VECTORS), LowRankForm(VALUES, VECTORS, 1.5)
DIAGONAL, KRONECKER = DiagonalForm(ENTRIES), KroneckerForm(OUT, IN, MOMENTS)
AT_ENTRIES, AT_MOMENTS = torch.tensor([19, 3, 0, 7, 12]), torch.tensor([1, 2, 4, 5, 6, 8, 9, 10, 11, 13, 14, 15])
BLOCKS = BlockDiagonalForm(20, [(AT_ENTRIES, DIAGONAL), (AT_MOMENTS, KRONECKER)])


def dense_low_rank(background):
    across = torch.eye(9, dtype=torch.float64) - VECTORS @ VECTORS.T
    return VECTORS @ torch.diag(VALUES) @ VECTORS.T + background * across


def dense_kronecker():
    # Entry by entry of the matrices [n_out, n_in'] that the vectors are.
    product = torch.einsum("ai,bj,ij,ci,dj->abcd", OUT, IN, MOMENTS, OUT, IN)
    return product.reshape(12, 12)


def dense_blocks():
    matrix = torch.zeros(20, 20, dtype=torch.float64)
    matrix[AT_ENTRIES[:, None], AT_ENTRIES] = torch.diag(ENTRIES)
    matrix[AT_MOMENTS[:, None], AT_MOMENTS] = dense_kronecker()
    return matrix


# name: (form, dense matrix, numbers that represent it)
FORMS = {
    "low rank": (LOW, dense_low_rank(0.0), 4 + 36),
    "low rank on a background": (WIDE, dense_low_rank(1.5), 4 + 36 + 1),
    "low rank on a negative background": (LowRankForm(VALUES, VECTORS, -1.5), dense_low_rank(-1.5), 4 + 36 + 1),
    "full rank": (LowRankForm(ENTRIES, torch.eye(5).double()), torch.diag(ENTRIES), 5 + 25),
    "background alone": (
        LowRankForm(VALUES[:0], VECTORS[:, :0], 2.0), 2 * torch.eye(9, dtype=torch.float64), 1,
    ),
    "diagonal": (DIAGONAL, torch.diag(ENTRIES), 5),
    "kronecker": (KRONECKER, dense_kronecker(), 9 + 16 + 12),
    "kronecker of two spectra": (KroneckerForm(OUT, IN, MOMENTS, 7), dense_kronecker(), 9 + 16 + 7),
    "blocks and parameters in none": (BLOCKS, dense_blocks(), 5 + 9 + 16 + 12),
    "blocks of everything": (
        BlockDiagonalForm(5, [(torch.tensor([4, 3, 2, 1, 0]), DIAGONAL)]), torch.diag(ENTRIES.flip(0)), 5,
    ),
}  # fmt: skip
EVERY = pytest.mark.parametrize(("form", "dense"), [each[:2] for each in FORMS.values()], ids=FORMS)


def check_spectrum(form, dense):
    spectrum = form.spectrum()
    found = spectrum.values.repeat_interleave(spectrum.counts)
    torch.testing.assert_close(found, torch.linalg.eigvalsh(dense), **EXACT)
    assert spectrum.trace == pytest.approx(float(dense.trace()), abs=1e-12)
    assert spectrum.squared_norm == pytest.approx(float(dense.square().sum()), rel=1e-12)


def check_leading(form, dense, count):
    pairs = form.leading(count)
    largest = torch.linalg.eigvalsh(dense).abs().sort(descending=True).values[:count]
    torch.testing.assert_close(pairs.values.abs().sort(descending=True).values, largest, **EXACT)
    assert (pairs.values.diff() >= 0).all()
    torch.testing.assert_close(dense @ pairs.vectors, pairs.vectors * pairs.values, **EXACT)
    torch.testing.assert_close(pairs.vectors.T @ pairs.vectors, torch.eye(count, dtype=torch.float64), **EXACT)
    assert not pairs.residuals.any()


def check_applied(form, dense):
    given = numbers(form.size, 3, seed=4)
    torch.testing.assert_close(form.applied(given), dense @ given, **EXACT)


def check_direction(form, dense, damping):
    gradient = numbers(form.size, seed=5)
    eigenvalues, vectors = torch.linalg.eigh(dense)
    divisors = eigenvalues.abs() + damping
    inverse = torch.where(divisors > 1e-12, 1 / divisors, 0)
    torch.testing.assert_close(
        form.direction(gradient, damping), -vectors @ (inverse * (vectors.T @ gradient)), **EXACT
    )


@EVERY
def test_the_spectrum_is_that_of_the_dense_matrix(form, dense):
    check_spectrum(form, dense)


@EVERY
@pytest.mark.parametrize("count", [1, 3, 5], ids="{} pairs".format)
def test_the_leading_pairs_are_those_of_the_dense_matrix(form, dense, count):
    check_leading(form, dense, count)


@EVERY
def test_all_pairs_can_be_had(form, dense):
    check_leading(form, dense, form.size)


@EVERY
def test_it_is_applied_as_the_dense_matrix(form, dense):
    check_applied(form, dense)


@EVERY
@pytest.mark.parametrize("damping", [0.1, 0.0], ids="damping {}".format)
def test_the_direction_is_saddle_free_and_0_where_nothing_is_known(form, dense, damping):
    check_direction(form, dense, damping)


@pytest.mark.parametrize(("form", "count"), [each[::2] for each in FORMS.values()], ids=FORMS)
def test_numbers_are_those_that_are_kept(form, count):
    assert form.numbers == count


FAULTS = {
    "flattened by columns": (KroneckerForm(IN, OUT, MOMENTS.T.contiguous()), dense_kronecker()),
    "a background that is left out": (LOW, dense_low_rank(1.5)),
    "a sign that is lost": (LowRankForm(VALUES.abs(), VECTORS), dense_low_rank(0.0)),
    "vectors that are not orthonormal": (LowRankForm(VALUES, VECTORS + 0.01), dense_low_rank(0.0)),
    "a block in another order": (
        BlockDiagonalForm(20, [(AT_ENTRIES, DIAGONAL), (AT_MOMENTS.flip(0), KRONECKER)]), dense_blocks(),
    ),
}  # fmt: skip


@pytest.mark.parametrize(("form", "dense"), FAULTS.values(), ids=FAULTS)
def test_the_comparisons_see_a_fault(form, dense):
    for comparison in (check_applied, lambda *given: check_leading(*given, 3)):
        with pytest.raises(AssertionError):
            comparison(form, dense)


def test_the_comparisons_of_spectra_and_directions_see_another_matrix():
    form, dense = DiagonalForm(ENTRIES + 1e-6), torch.diag(ENTRIES)
    for comparison in (check_spectrum, lambda *given: check_direction(*given, 0.1)):
        with pytest.raises(AssertionError):
            comparison(form, dense)


def test_pairs_of_rounding_alone_are_left_out():
    noisy = LowRankForm.of_significant(values(2.0, 1e-16, -1e-3, -1e-17), VECTORS)
    assert noisy.values.tolist() == [2.0, -1e-3]
    assert torch.equal(noisy.vectors, VECTORS[:, [0, 2]])
    assert LowRankForm.of_significant(values(0.0, 0.0), VECTORS[:, :2]).spectrum().counts.tolist() == [9]


@pytest.mark.parametrize("background", [0.0, 1.5], ids="background {}".format)
def test_the_diagonal_is_that_of_the_dense_matrix(background):
    found = diagonal_form(LowRankForm(VALUES, VECTORS, background))
    torch.testing.assert_close(found.entries, dense_low_rank(background).diagonal(), **EXACT)


@EVERY
def test_leading_pairs_alone_leave_the_error_of_the_best_matrix_of_their_rank(form, dense):
    found = leading_form(form, 2)
    remaining = torch.linalg.eigvalsh(dense).abs().sort().values[:-2]
    error = dense - found.applied(torch.eye(form.size, dtype=torch.float64))
    torch.testing.assert_close(torch.linalg.norm(error), torch.linalg.norm(remaining), **EXACT)


REFUSALS = {
    "no pairs": (lambda: LOW.leading(0), "count is 0; it must be from 1 to 9"),
    "too many pairs": (lambda: BLOCKS.leading(21), "count is 21; it must be from 1 to 20"),
    "one vector": (lambda: DIAGONAL.applied(ENTRIES), r"shape \(5,\); give columns of 5 numbers"),
    "another length": (lambda: KRONECKER.direction(ENTRIES, 0.1), r"shape \(5,\); the matrix needs \(12,\)"),
    "a value without a vector": (lambda: LowRankForm(VALUES[:3], VECTORS), "one value for each column"),
    "moments of other bases": (lambda: KroneckerForm(IN, OUT, MOMENTS), r"shape \(3, 4\); give two square bases"),
    "no blocks": (lambda: BlockDiagonalForm(5, []), "has no blocks"),
    "a block without places": (lambda: BlockDiagonalForm(9, [(AT_MOMENTS, DIAGONAL)]), "block 0 has 5 rows"),
    "a place outside": (lambda: BlockDiagonalForm(9, [(AT_ENTRIES, DIAGONAL)]), "not from 0 to 8"),
    "a place given twice": (lambda: BlockDiagonalForm(20, [(AT_ENTRIES, DIAGONAL)] * 2), "position 0 is given 2 times"),
}


@pytest.mark.parametrize(("mistake", "message"), REFUSALS.values(), ids=REFUSALS)
def test_mistakes_are_refused(mistake, message):
    with pytest.raises(InputError, match=message):
        mistake()


def test_a_negative_damping_is_refused():
    with pytest.raises(ConfigurationError, match="damping is -1"):
        LOW.direction(numbers(9), -1)
