"""M Mᵀ = ∇²_z L and M q = ∇_z L for every loss, in few digits as in many, for fitted and for misfitted samples."""

from functools import partial

import pytest
import torch
from torch import nn
from torch.func import hessian
from torch.nn import functional

from secondorder.curvature.output_factors import output_factors

SAMPLES, CLASSES = 5, 4
CROSS_ENTROPY = functional.cross_entropy
WEIGHTS = torch.tensor([0.2, 1.0, 3.0, 0.7], dtype=torch.float64)
ONE_CLASS_FREE = torch.tensor([0.2, 0.0, 3.0, 0.7], dtype=torch.float64)


def labels():
    return torch.tensor([0, 1, 2, 3, 1])


def with_ignored(index):
    targets = labels()
    targets[[1, 4]] = index
    return targets


def probabilities():
    return numbers().softmax(1)


def numbers():
    return torch.randn(SAMPLES, CLASSES, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def log_cosh(outputs, targets):
    return (outputs - targets).cosh().log().mean()


# name: (loss, what makes its targets)
CLOSED = {
    "function": (CROSS_ENTROPY, labels),
    "module": (nn.CrossEntropyLoss(), labels),
    "partial": (partial(CROSS_ENTROPY), labels),
    "sum": (partial(CROSS_ENTROPY, reduction="sum"), labels),
    "module with sum": (nn.CrossEntropyLoss(reduction="sum"), labels),
    "class weights": (partial(CROSS_ENTROPY, weight=WEIGHTS), labels),
    "sum with class weights": (partial(CROSS_ENTROPY, weight=WEIGHTS, reduction="sum"), labels),
    "a class weight of 0": (partial(CROSS_ENTROPY, weight=ONE_CLASS_FREE), labels),
    "module with class weights": (nn.CrossEntropyLoss(weight=WEIGHTS), labels),
    "smoothed labels": (partial(CROSS_ENTROPY, label_smoothing=0.1), labels),
    "smoothed labels with class weights": (partial(CROSS_ENTROPY, label_smoothing=0.3, weight=WEIGHTS), labels),
    "probabilities": (CROSS_ENTROPY, probabilities),
    "probabilities with class weights": (partial(CROSS_ENTROPY, weight=WEIGHTS), probabilities),
    "smoothed probabilities": (partial(CROSS_ENTROPY, label_smoothing=0.2), probabilities),
    "soft targets that do not sum to 1": (CROSS_ENTROPY, lambda: 3 * probabilities().square()),
    "ignored samples": (CROSS_ENTROPY, lambda: with_ignored(-100)),
    "samples ignored by another index": (partial(CROSS_ENTROPY, ignore_index=2), lambda: with_ignored(2)),
    "ignored samples, smoothed, with class weights": (
        partial(CROSS_ENTROPY, label_smoothing=0.3, weight=WEIGHTS),
        lambda: with_ignored(-100),
    ),
    "sum with ignored samples": (nn.CrossEntropyLoss(reduction="sum", ignore_index=1), labels),
}
BY_EIGENVALUES = {
    "squared error": (functional.mse_loss, numbers),
    "sum of squared errors": (partial(functional.mse_loss, reduction="sum"), numbers),
    "binary cross-entropy": (functional.binary_cross_entropy_with_logits, lambda: numbers().sigmoid()),
    "log-cosh": (log_cosh, numbers),
    "cross-entropy in other words": (lambda outputs, targets: CROSS_ENTROPY(outputs, targets), labels),
    "fourth powers": (lambda outputs, targets: ((outputs - targets) ** 4).mean(), numbers),
}
ALL = {**CLOSED, **BY_EIGENVALUES}
EVERY = pytest.mark.parametrize(("loss", "targets"), ALL.values(), ids=ALL)
EVERY_CLOSED = pytest.mark.parametrize(("loss", "targets"), CLOSED.values(), ids=CLOSED)


def outputs(dtype=torch.float64):
    generator = torch.Generator().manual_seed(0)
    return 2 * torch.randn(SAMPLES, CLASSES, dtype=torch.float64, generator=generator).to(dtype)


def dense(loss, z, targets):
    """∇²_z L of each sample and ∇_z L by autograd, forward over reverse."""
    rows = hessian(loss)(z, targets)
    leaf = z.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(loss(leaf, targets), leaf)
    index = torch.arange(len(z))
    return rows[index, :, index], gradient


def products(factors):
    """M Mᵀ and M q."""
    return factors.factor @ factors.factor.mT, (factors.factor @ factors.residual[..., None])[..., 0]


def error(found, expected):
    return float((found - expected).abs().max() / expected.abs().max())


@EVERY
def test_the_factors_give_curvature_and_gradient(loss, targets):
    curvature, gradient = dense(loss, outputs(), targets())
    found = output_factors(loss, outputs(), targets())
    assert error(products(found)[0], curvature) < 1e-13
    assert error(products(found)[1], gradient) < 1e-12
    assert found.remainder is None


@EVERY_CLOSED
def test_cross_entropy_needs_a_column_less_than_there_are_classes(loss, targets):
    found = output_factors(loss, outputs(), targets())
    assert (found.factor.shape, found.residual.shape) == ((SAMPLES, CLASSES, CLASSES - 1), (SAMPLES, CLASSES - 1))


WRONG = {
    "the factors of other labels": lambda z, t: output_factors(CROSS_ENTROPY, z, t.roll(1)),
    "the factors of other outputs": lambda z, t: output_factors(CROSS_ENTROPY, z.roll(1, 1), t),
    "the factors of the sum": lambda z, t: output_factors(partial(CROSS_ENTROPY, reduction="sum"), z, t),
    "the factors with class weights": lambda z, t: output_factors(partial(CROSS_ENTROPY, weight=WEIGHTS), z, t),
    "the factors with smoothed labels": lambda z, t: output_factors(partial(CROSS_ENTROPY, label_smoothing=0.1), z, t),
}


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
def test_that_comparison_notices_other_factors(wrong):
    _, gradient = dense(CROSS_ENTROPY, outputs(), labels())
    assert error(products(wrong(outputs(), labels()))[1], gradient) > 1e-2


def test_that_comparison_notices_the_sign_of_q():
    _, gradient = dense(CROSS_ENTROPY, outputs(), labels())
    found = output_factors(CROSS_ENTROPY, outputs(), labels())
    assert error(-products(found)[1], gradient) == pytest.approx(2)


@pytest.mark.parametrize("loss", [CROSS_ENTROPY, functional.mse_loss], ids=["cross-entropy", "squared error"])
def test_curvature_depends_on_the_labels_only_by_q(loss):
    targets = [functional.one_hot(labels().roll(shift), CLASSES).double() for shift in (0, 1)]
    one, other = (output_factors(loss, outputs(), t) for t in targets)
    torch.testing.assert_close(one.factor, other.factor, rtol=0, atol=0)
    assert error(one.residual, other.residual) > 0.1


def test_labels_and_their_indicators_have_the_same_factors():
    one = output_factors(CROSS_ENTROPY, outputs(), labels())
    other = output_factors(CROSS_ENTROPY, outputs(), functional.one_hot(labels(), CLASSES).double())
    torch.testing.assert_close((one.factor, one.residual), (other.factor, other.residual), rtol=1e-14, atol=0)


@EVERY
def test_single_precision_loses_no_more_than_its_own_digits(loss, targets):
    single = targets().float() if targets().is_floating_point() else targets()
    found = output_factors(loss, outputs(torch.float32), single)
    # The oracle gets the rounded outputs: what rounding them costs is not the factors' doing.
    curvature, gradient = dense(loss, outputs(torch.float32).double(), single.double() if single.ndim > 1 else single)
    assert found.factor.dtype == found.residual.dtype == torch.float32
    assert error(products(found)[0].double(), curvature) < 2e-6
    assert error(products(found)[1].double(), gradient) < 2e-5


@pytest.mark.parametrize("shape", [(SAMPLES, 2, 2), (SAMPLES,)], ids=str)
def test_outputs_of_other_shapes_are_flattened(shape):
    torch.manual_seed(0)
    z, targets = torch.randn(shape, dtype=torch.float64), torch.randn(shape, dtype=torch.float64)
    found = output_factors(log_cosh, z, targets)
    z, targets = z.reshape(SAMPLES, -1), targets.reshape(SAMPLES, -1)
    curvature, gradient = dense(log_cosh, z, targets)
    assert error(products(found)[0], curvature) < 1e-13
    assert error(products(found)[1], gradient) < 1e-12


def test_segmentation_is_factored_by_eigenvalues():
    torch.manual_seed(0)
    z, targets = torch.randn(2, 3, 2, dtype=torch.float64), torch.tensor([[0, 2], [1, 1]])
    found = output_factors(CROSS_ENTROPY, z, targets)
    leaf = z.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(CROSS_ENTROPY(leaf, targets), leaf)
    assert error(products(found)[1], gradient.flatten(1)) < 1e-12


def test_one_class_has_no_columns():
    found = output_factors(CROSS_ENTROPY, torch.randn(SAMPLES, 1), torch.zeros(SAMPLES, dtype=torch.long))
    assert (found.factor.shape, found.residual.shape) == ((SAMPLES, 1, 0), (SAMPLES, 0))


def test_outputs_that_require_gradients_leave_no_graph():
    for loss, targets in (CLOSED["function"], BY_EIGENVALUES["squared error"]):
        found = output_factors(loss, outputs().requires_grad_(), targets())
        assert not found.factor.requires_grad
        assert not found.residual.requires_grad


# A gradient where there is no curvature


def part_without_curvature(outputs, targets):
    """Squared errors of the first two outputs, absolute errors of the others."""
    errors = outputs - targets
    return errors[:, :2].square().mean() + errors[:, 2:].abs().mean()


REMAINDERS = {
    "absolute error": functional.l1_loss,
    "smooth absolute error": functional.smooth_l1_loss,
    "huber": functional.huber_loss,
    "absolute and squared errors": part_without_curvature,
    "linear": lambda outputs, targets: (outputs * targets).sum(),
    "concave": lambda outputs, targets: -(outputs - targets).square().sum(),
}


@pytest.mark.parametrize("loss", REMAINDERS.values(), ids=REMAINDERS)
def test_what_the_curvature_does_not_reach_is_the_remainder(loss):
    found = output_factors(loss, outputs(), numbers())
    curvature, gradient = dense(loss, outputs(), numbers())
    assert found.remainder.abs().max() > 0.01
    torch.testing.assert_close(products(found)[0], curvature.clamp(min=0), rtol=1e-13, atol=1e-15)
    torch.testing.assert_close(products(found)[1] + found.remainder, gradient, rtol=1e-13, atol=1e-15)


def test_without_a_gradient_there_is_no_remainder():
    assert output_factors(functional.mse_loss, outputs(), outputs()).remainder is None


# Fitted and misfitted samples

MARGINS = [5.0, 20.0, 69.0, 85.0, 200.0, 1e4]
DTYPES = pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)


def margin_case(margin, label, dtype):
    """A sample of which class 0 is ahead of the others by about ``margin``, beside two ordinary ones."""
    z = torch.tensor([[margin, 0.0, 0.7, -0.5], [0.2, -0.1, 0.5, 0.1], [0.0, 0.3, 1.0, -1.0]], dtype=dtype)
    return z, torch.tensor([label, 1, 2])


@DTYPES
@pytest.mark.parametrize("label", [0, 1, 3])
@pytest.mark.parametrize("margin", MARGINS)
def test_the_factors_of_an_extreme_sample_are_finite(margin, label, dtype):
    found = output_factors(CROSS_ENTROPY, *margin_case(margin, label, dtype))
    assert all(torch.isfinite(part).all() for part in (found.factor, found.residual))


def by_hand(z, targets):
    """∇²_z L and ∇_z L of the mean, in double precision, without a rounded 1 − p: autograd's would be 0."""
    p = z.double().softmax(1)
    others = p.sum(1, keepdim=True) - p
    for sample, row in enumerate(p):
        for label in range(CLASSES):
            others[sample, label] = sum(row[other] for other in range(CLASSES) if other != label)
    curvature = -p[:, :, None] * p[:, None, :]
    curvature.diagonal(dim1=1, dim2=2).copy_(p * others)
    gradient = p.scatter(1, targets[:, None], -others.gather(1, targets[:, None]))
    return curvature / len(z), gradient / len(z)


def test_the_formulas_by_hand_are_those_of_autograd():
    z, targets = margin_case(5.0, 1, torch.float64)
    for found, expected in zip(by_hand(z, targets), dense(CROSS_ENTROPY, z, targets), strict=True):
        assert error(found, expected) < 1e-15


def tolerance(margin, dtype):
    # A probability is the exponential of a rounded number as large as the margin.
    return 4 * (margin + 10) * torch.finfo(dtype).eps


@DTYPES
@pytest.mark.parametrize("margin", [5.0, 20.0, 69.0, 85.0])
def test_the_gradient_of_a_fitted_sample_keeps_its_digits(margin, dtype):
    z, targets = margin_case(margin, 0, dtype)
    _, found = products(output_factors(CROSS_ENTROPY, z, targets))
    _, expected = by_hand(z, targets)
    torch.testing.assert_close(found[0].double(), expected[0], rtol=tolerance(margin, dtype), atol=0)


@pytest.mark.parametrize("margin", [20.0, 69.0])
def test_that_comparison_notices_that_autograd_keeps_none(margin):
    z, targets = margin_case(margin, 0, torch.float32)
    assert dense(CROSS_ENTROPY, z, targets)[1][0, 0] == 0
    assert by_hand(z, targets)[1][0, 0] != 0


@DTYPES
@pytest.mark.parametrize("damping", [1e-6, 1e-2, 10.0])
@pytest.mark.parametrize("label", [0, 1, 3])
@pytest.mark.parametrize("margin", [5.0, 20.0, 69.0, 85.0])
def test_the_direction_of_an_extreme_sample_is_right(margin, label, damping, dtype):
    z, targets = margin_case(margin, label, dtype)
    found = output_factors(CROSS_ENTROPY, z, targets)
    identity = torch.eye(found.residual.shape[1], dtype=dtype)
    solved = torch.linalg.solve(damping * identity + found.factor.mT @ found.factor, found.residual[..., None])
    directions = -(found.factor @ solved)[..., 0]
    curvature, gradient = by_hand(z, targets)
    damped = curvature + damping * torch.eye(CLASSES, dtype=torch.float64)
    expected = -torch.linalg.solve(damped, gradient[..., None])[..., 0]
    of_the_oracle = torch.finfo(torch.float64).eps / damping
    for direction, truth in zip(directions, expected, strict=True):
        assert error(direction.double(), truth) < 10 * tolerance(margin, dtype) + of_the_oracle


@pytest.mark.parametrize("name", ["function", "squared error", "binary cross-entropy"])
def test_outputs_that_are_not_finite_are_no_remainder(name):
    loss, targets = ALL[name]
    z = outputs()
    z[0, 0] = torch.nan
    try:
        found = output_factors(loss, z, targets())
    except torch.linalg.LinAlgError:  # the eigenvalues' own way to say so, which an optimizer waits for
        return
    assert found.remainder is None
    assert found.residual.isnan().any()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="PyTorch sees no CUDA device")
@EVERY
def test_the_factors_on_a_gpu_are_those_on_the_cpu(loss, targets):
    if isinstance(loss, partial) and "weight" in loss.keywords:
        loss = partial(CROSS_ENTROPY, **{**loss.keywords, "weight": loss.keywords["weight"].cuda()})
    moved = loss.cuda() if isinstance(loss, nn.Module) else loss
    found = products(output_factors(moved, outputs().cuda(), targets().cuda()))
    assert all(part.is_cuda for part in found)
    loss = loss.cpu() if isinstance(loss, nn.Module) else loss
    if isinstance(loss, partial) and "weight" in loss.keywords:
        loss = partial(CROSS_ENTROPY, **{**loss.keywords, "weight": loss.keywords["weight"].cpu()})
    expected = products(output_factors(loss, outputs(), targets()))
    torch.testing.assert_close([part.cpu() for part in found], list(expected), rtol=1e-9, atol=1e-12)
