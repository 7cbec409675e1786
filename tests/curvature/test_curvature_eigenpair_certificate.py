"""A certificate is passed by eigenpairs, and by nothing that only looks like them."""

import pytest
import scipy.linalg
import torch

from secondorder.curvature.eigenpair_certificate import certify
from secondorder.errors import InputError

TOLERANCE = 1e-12
GENERATOR = torch.Generator().manual_seed(0)
MATRIX = torch.randn(30, 30, dtype=torch.float64, generator=GENERATOR)
MATRIX = MATRIX + MATRIX.T
VALUES, VECTORS = (torch.from_numpy(part)[..., -4:].clone() for part in scipy.linalg.eigh(MATRIX.numpy()))
OTHER = torch.linalg.eigvalsh(MATRIX)[0]


def certificate(values=VALUES, vectors=VECTORS, matrix=MATRIX, tolerance=TOLERANCE):
    return certify(values, vectors, lambda vector: matrix @ vector, tolerance)


def changed(tensor, position, value):
    tensor = tensor.clone()
    tensor[..., position] = value
    return tensor


def test_eigenpairs_pass():
    found = certificate()
    assert found.passed
    assert found.relative < 1e-14
    assert found.orthogonality < 1e-14
    assert found.dtype == "float64"


FLIPPED = torch.cat([torch.full((3,), -1.0), torch.ones(27)]).double()
CONTROLS = [
    pytest.param({"values": changed(VALUES, 1, VALUES[1] + 1e-9)}, id="a value that is a little off"),
    pytest.param({"values": changed(VALUES, 1, OTHER)}, id="another eigenvalue"),
    pytest.param({"values": changed(VALUES, 3, VALUES[2]), "vectors": changed(VECTORS, 3, VECTORS[:, 2])}, id="twice"),
    pytest.param({"vectors": VECTORS * 1.001}, id="vectors that are too long"),
    pytest.param({"values": VALUES.half().double(), "vectors": VECTORS.half().double()}, id="rounded to float16"),
    pytest.param({"values": VALUES.float().double(), "vectors": VECTORS.float().double()}, id="rounded to float32"),
    pytest.param({"matrix": FLIPPED[:, None] * MATRIX}, id="products with a wrong sign"),
    pytest.param({"matrix": MATRIX * torch.nan}, id="products that are no numbers"),
    pytest.param({"values": changed(VALUES, 1, torch.nan)}, id="a value that is no number"),
    pytest.param({"vectors": changed(VECTORS, 1, torch.nan)}, id="a vector that is no number"),
]


@pytest.mark.parametrize("change", CONTROLS)
def test_what_is_no_eigenpair_does_not_pass(change):
    assert not certificate(**change).passed


def test_pairs_given_twice_are_told_by_their_orthogonality_alone():
    found = certificate(changed(VALUES, 3, VALUES[2]), changed(VECTORS, 3, VECTORS[:, 2]))
    assert found.relative < 1e-14
    assert found.orthogonality == pytest.approx(1)


def test_an_eigenvalue_lies_within_each_residual():
    vectors = VECTORS + 0.01 * torch.randn(VECTORS.shape, dtype=torch.float64, generator=GENERATOR)
    vectors = vectors / vectors.norm(dim=0)
    values = ((MATRIX @ vectors) * vectors).sum(0)
    found = certificate(values, vectors)
    distances = (values[:, None] - torch.linalg.eigvalsh(MATRIX)).abs().amin(1)
    assert (distances <= found.residuals).all()
    torch.testing.assert_close(found.residuals, (MATRIX @ vectors - vectors * values).norm(dim=0))


def test_residuals_are_relative_to_the_largest_value():
    one, other = certificate(VALUES + 1e-6), certificate(1e9 * (VALUES + 1e-6), matrix=1e9 * MATRIX)
    assert one.relative == pytest.approx(1e-6 / float(VALUES.max()), rel=1e-5)
    assert one.relative == pytest.approx(other.relative, rel=1e-5)


def test_pairs_of_a_matrix_of_zeros_pass():
    assert certificate(torch.zeros(4).double(), matrix=0 * MATRIX).passed


def test_single_precision_is_said():
    found = certificate(VALUES.float(), VECTORS.float(), MATRIX.float(), tolerance=1e-5)
    assert (found.dtype, found.passed) == ("float32", True)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        pytest.param({"values": VALUES[:2]}, r"values have shape \(2,\)", id="too few values"),
        pytest.param({"values": VALUES[:0], "vectors": VECTORS[:, :0]}, "a pair at least", id="none"),
        pytest.param({"vectors": VECTORS[:, 0]}, r"vectors \(30,\)", id="one vector"),
        pytest.param({"tolerance": 0.0}, "tolerance is 0", id="no tolerance"),
        pytest.param({"tolerance": float("inf")}, "tolerance is inf", id="any tolerance"),
    ],
)
def test_bad_input_is_refused(change, message):
    with pytest.raises(InputError, match=message):
        certificate(**change)
