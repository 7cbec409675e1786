"""The exact Hessian of a batch agrees with hand-derived ones, dense ones and differences of gradients.

Dense matrices come from double backward: forward over reverse is wrong for layer normalisation in PyTorch 2.13.
"""

from contextlib import contextmanager
from functools import cache

import pytest
import torch
from curvature_cases import LOSSES, MODELS, Problem, dense, flat, padded, problem, relative_error
from torch import nn
from torch.nn import functional

from secondorder.curvature import ExactHessian, exact_hessian
from secondorder.errors import CapabilityError

DEVICES = [
    "cpu",
    pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="PyTorch sees no CUDA device")),
]
KINDS = [(coupling, curvature) for coupling in ("full", "layerwise") for curvature in ("hessian", "ggn")]
SMOOTH = ("tanh", "gelu", "layer called twice", "recurrent", "attention", "two convolutions", "layer normalisation")
EXACT = 1e-12  # of the largest entry: a few thousand roundings in float64


@cache
def case(model, loss="cross-entropy", batch=3):
    return problem(model, loss, batch)


@cache
def exact(model, loss="cross-entropy", batch=3, coupling="full", curvature="hessian"):
    return case(model, loss, batch).exact(coupling, curvature)


def by_hand(values):
    return torch.tensor(values, dtype=torch.float64)


# Small cases by hand.


def test_softmax_regression_with_equal_probabilities_has_the_squared_input_over_the_classes():
    # p = 1/C: ∇²_z L = (I − 1/C)/C has the eigenvalues 1/C, C − 1 times, and 0; H = (h̃ h̃ᵀ) ⊗ ∇²_z L.
    softmax = problem("one layer", batch=1, scale=0.0)
    squared = float((softmax.inputs**2).sum()) + 1
    expected = by_hand([0] * 13 + [squared / 3] * 2)
    torch.testing.assert_close(padded(softmax.exact().eigenvalues(), 15), expected, rtol=1e-13, atol=1e-13)


def test_linear_regression_has_the_eigenvalues_of_its_inputs_covariance():
    linear = problem("one layer", "squared error", 16)
    inputs = torch.cat([linear.inputs, torch.ones(16, 1, dtype=torch.float64)], dim=1)
    covariance = torch.linalg.eigvalsh(inputs.T @ inputs) * 2 / (16 * 3)
    torch.testing.assert_close(linear.exact().eigenvalues(), covariance.repeat_interleave(3), rtol=1e-12, atol=1e-13)


def product_of_two(a, b, target=1.0):
    """L = (a b − target)², as two linear layers of one number."""
    model = nn.Sequential(nn.Linear(1, 1, bias=False), nn.Linear(1, 1, bias=False)).double()
    with torch.no_grad():
        model[0].weight.fill_(a)
        model[1].weight.fill_(b)
    return Problem(model, functional.mse_loss, by_hand([[1.0]]), by_hand([[target]]))


@pytest.mark.parametrize(("a", "b"), [(2.0, 3.0), (-1.0, 0.5), (0.1, 0.1)])
def test_a_product_of_two_numbers_has_the_hessian_of_the_textbook(a, b):
    textbook = by_hand([[2 * b * b, 4 * a * b - 2], [4 * a * b - 2, 2 * a * a]])
    torch.testing.assert_close(product_of_two(a, b).exact().dense(), textbook, rtol=1e-14, atol=1e-14)


def test_the_saddle_of_a_product_has_one_negative_and_one_positive_eigenvalue():
    assert product_of_two(0.0, 0.0).exact().eigenvalues().tolist() == pytest.approx([-2, 2])


# Dense Hessians.


@pytest.mark.parametrize(("coupling", "curvature"), KINDS)
@pytest.mark.parametrize("model", MODELS)
def test_the_matrix_is_the_dense_one(model, coupling, curvature):
    truth = case(model).truth(coupling, curvature)
    assert truth.abs().max() > 1e-3
    assert relative_error(exact(model, coupling=coupling, curvature=curvature).dense(), truth) < EXACT


@pytest.mark.parametrize(("coupling", "curvature"), KINDS)
@pytest.mark.parametrize("model", MODELS)
def test_eigenvalues_and_zeros_are_those_of_the_dense_matrix(model, coupling, curvature):
    truth = case(model).truth(coupling, curvature)
    found = exact(model, coupling=coupling, curvature=curvature).eigenvalues()
    assert relative_error(padded(found, len(truth)), torch.linalg.eigvalsh(truth)) < EXACT


@pytest.mark.parametrize("batch", [1, 16])
@pytest.mark.parametrize("model", MODELS)
def test_eigenvalues_of_one_sample_and_of_many_are_those_of_the_dense_matrix(model, batch):
    truth = case(model, batch=batch).hessian
    found = exact(model, batch=batch).eigenvalues()
    assert relative_error(padded(found, len(truth)), torch.linalg.eigvalsh(truth)) < EXACT


@pytest.mark.parametrize("curvature", ["hessian", "ggn"])
@pytest.mark.parametrize("model", ["tanh", "convolution of a line"])
@pytest.mark.parametrize("loss", LOSSES)
def test_every_loss_has_its_dense_matrix(model, loss, curvature):
    truth = case(model, loss).truth(curvature=curvature)
    found = exact(model, loss, curvature=curvature).dense()
    assert float((found - truth).abs().max()) <= EXACT * max(1e-3, float(truth.abs().max()))


@pytest.mark.parametrize("model", MODELS)
def test_loss_and_gradient_are_those_of_the_batch(model):
    assert relative_error(exact(model).gradient, case(model).gradient) < EXACT
    with torch.no_grad():
        assert exact(model).loss == case(model).loss(case(model).model(case(model).inputs), case(model).targets)


@pytest.mark.parametrize(("coupling", "curvature"), KINDS)
@pytest.mark.parametrize("model", MODELS)
def test_the_trace_is_the_sum_of_the_diagonal(model, coupling, curvature):
    diagonal = case(model).truth(coupling, curvature).diagonal()
    found = exact(model, coupling=coupling, curvature=curvature).trace()
    assert abs(found - diagonal.sum()) < EXACT * diagonal.abs().sum()


@pytest.mark.parametrize("model", MODELS)
def test_eigenvectors_are_orthonormal(model):
    vectors = exact(model).eigenvectors(exact(model).rank)
    identity = torch.eye(exact(model).rank, dtype=torch.float64)
    torch.testing.assert_close(vectors.T @ vectors, identity, rtol=0, atol=1e-12)


@pytest.mark.parametrize("coupling", ["full", "layerwise"])
@pytest.mark.parametrize("model", ["tanh", "unused parameters", "two convolutions", "recurrent", "frozen layer"])
def test_the_matrix_multiplies_an_eigenvector_by_its_eigenvalue(model, coupling):
    hessian = exact(model, coupling=coupling)
    vectors, values = hessian.eigenvectors(5), hessian.eigenvalues()
    largest = values[values.abs().argsort(descending=True)[:5]]
    truth = case(model).truth(coupling)
    torch.testing.assert_close(truth @ vectors, vectors * largest, rtol=0, atol=1e-12 * float(largest[0].abs()))


def test_eigenvalues_ascend_and_do_not_depend_on_what_was_asked_before():
    first, second = case("tanh").exact(), case("tanh").exact()
    second.eigenvectors(3)
    assert torch.equal(first.eigenvalues(), first.eigenvalues().sort().values)
    torch.testing.assert_close(first.eigenvalues(), second.eigenvalues(), rtol=0, atol=1e-14)


@pytest.mark.parametrize("model", ["tanh", "gated", "convolution of a line"])
@pytest.mark.parametrize("coupling", ["full", "layerwise"])
def test_products_are_linear_and_symmetric(model, coupling):
    torch.manual_seed(1)
    hessian = exact(model, coupling=coupling)
    x, y = torch.randn(2, hessian.parameter_count, dtype=torch.float64)
    torch.testing.assert_close(hessian.matvec(2 * x - y), 2 * hessian.matvec(x) - hessian.matvec(y))
    torch.testing.assert_close(x @ hessian.matvec(y), y @ hessian.matvec(x))


# The coordinates' number.


@pytest.mark.parametrize("batch", [1, 3, 16])
@pytest.mark.parametrize("model", ["one layer", "tanh", "no bias", "sequence", "two convolutions", "unused parameters"])
def test_the_rank_bounds_the_number_of_nonzero_eigenvalues(model, batch):
    values = torch.linalg.eigvalsh(case(model, batch=batch).hessian).abs()
    hessian = exact(model, batch=batch)
    assert int((values > 1e-10 * values.max()).sum()) <= hessian.rank <= hessian.parameter_count
    assert len(hessian.eigenvalues()) == hessian.rank


def test_one_sample_of_a_perceptron_needs_few_coordinates():
    # u of 3 + 3 + 3 outputs and v of the 3 + 3 inputs that move, one of each pair (u, v) being both: 15 − 2, of 39.
    assert exact("tanh", batch=1).rank < 20 < exact("tanh", batch=1).parameter_count


def test_a_large_batch_has_as_many_coordinates_as_parameters():
    assert exact("tanh", batch=16).rank == exact("tanh", batch=16).parameter_count


# Differences of gradients: independent of any second derivative of PyTorch.


def difference_errors(given, vector, claimed, steps=(2e-3, 1e-3)):
    def difference(step):
        return (given.at(given.theta + step * vector).gradient - given.at(given.theta - step * vector).gradient) / (
            2 * step
        )

    return [float((difference(step) - claimed).norm()) for step in steps]


@pytest.mark.parametrize("model", SMOOTH)
def test_central_differences_of_the_gradient_approach_the_product_quadratically(model):
    torch.manual_seed(1)
    vector = torch.randn_like(case(model).theta)
    vector /= vector.norm()
    coarse, fine = difference_errors(case(model), vector, exact(model).matvec(vector))
    assert 3.9 < coarse / fine < 4.1


# Wrong terms are noticed: by the comparisons above and by the check of the class itself.


def without_coupling(parts):
    parts.within[..., parts.within.shape[2] :] = 0


def with_coupling_of_the_wrong_sign(parts):
    parts.within[..., parts.within.shape[2] :] *= -1


def with_a_wrong_delta(parts):
    parts.layers[1].deltas *= 1.01


def with_a_wrong_input(parts):
    parts.layers[0].inputs[..., 0] *= 1.01


def with_an_asymmetric_block(parts):
    parts.within[0, 0, 0, 1] += 0.01


WRONG = {
    "no coupling": without_coupling,
    "coupling of the wrong sign": with_coupling_of_the_wrong_sign,
    "wrong delta": with_a_wrong_delta,
    "wrong input": with_a_wrong_input,
    "asymmetric": with_an_asymmetric_block,
}


def corrupted(monkeypatch, wrong, checked=False, given=None):
    """An exact Hessian of which a term is wrong."""
    right = exact_hessian.activation_hessian

    def made_wrong(*arguments, **options):
        parts = right(*arguments, **options)
        WRONG[wrong](parts)
        return parts

    monkeypatch.setattr(exact_hessian, "activation_hessian", made_wrong)
    return (given or case("tanh")).exact(check=checked)


@pytest.mark.parametrize("wrong", WRONG)
def test_a_wrong_term_is_seen_in_the_comparison_with_the_dense_matrix(monkeypatch, wrong):
    assert relative_error(corrupted(monkeypatch, wrong).dense(), case("tanh").hessian) > 1e-3


@pytest.mark.parametrize("wrong", WRONG)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
@pytest.mark.parametrize("batch", [3, 64])
def test_a_wrong_term_is_refused_when_the_hessian_is_made(monkeypatch, wrong, dtype, batch):
    given = problem("tanh", batch=batch, dtype=dtype)
    with pytest.raises(CapabilityError, match="differs from double backward"):
        corrupted(monkeypatch, wrong, checked=True, given=given)


@pytest.mark.parametrize("wrong", WRONG)
def test_a_wrong_term_is_seen_in_the_differences(monkeypatch, wrong):
    torch.manual_seed(1)
    vector = torch.randn_like(case("tanh").theta)
    vector /= vector.norm()
    coarse, fine = difference_errors(case("tanh"), vector, corrupted(monkeypatch, wrong).matvec(vector))
    assert coarse / fine < 2


@pytest.mark.parametrize("wrong", WRONG)
def test_a_wrong_term_has_a_large_certificate(monkeypatch, wrong):
    assert corrupted(monkeypatch, wrong).certificate(5).relative > 1e-4


@pytest.mark.parametrize("curvature", ["hessian", "ggn"])
@pytest.mark.parametrize("model", SMOOTH)
def test_the_truth_has_a_small_certificate(model, curvature):
    certificate = exact(model, curvature=curvature).certificate(5)
    assert certificate.relative < EXACT
    assert certificate.residuals.shape == (5,)


def test_the_certificate_names_the_largest_eigenvalues():
    values = exact("tanh").eigenvalues().abs().sort(descending=True).values
    torch.testing.assert_close(exact("tanh").certificate(4).values.abs(), values[:4], rtol=1e-12, atol=0)


# Fitted samples and rounding.


def fitted(wanted, scale=1.0):
    """One sample of class 0 whose probability is about 1 − ``wanted``, and 1 − p without cancellation."""
    given = problem("tanh", batch=1, scale=scale)
    with torch.no_grad():
        given.model[4].bias[0] -= torch.log(torch.tensor(wanted, dtype=torch.float64)) + given.model(given.inputs)[0, 0]
    outputs = given.model(given.inputs)[0].detach()
    others = (outputs[1:] - outputs[0]).exp().sum()
    return given, float(others / (1 + others))


def without_cancellation(outputs, targets):
    """The cross-entropy of class 0 as log(1 + Σ exp(z_j − z_0)), whose derivatives are exact however small."""
    return torch.log1p((outputs[:, 1:] - outputs[:, :1]).exp().sum(1)).mean()


@pytest.mark.parametrize("wanted", [1e-2, 1e-4, 1e-6, 1e-8])
def test_a_fitted_sample_has_eigenvalues_as_good_as_its_probabilities(wanted):
    given, missing = fitted(wanted)
    assert 0.1 < missing / wanted < 10
    truth = Problem(given.model, without_cancellation, given.inputs, given.targets).hessian
    found = padded(given.exact().eigenvalues(), len(truth))
    tolerance = max(1e-12, 10 * torch.finfo(torch.float64).eps / missing)
    assert relative_error(found, torch.linalg.eigvalsh(truth)) < tolerance


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
@pytest.mark.parametrize("coupling", ["full", "layerwise"])
@pytest.mark.parametrize("batch", [1, 3])
def test_a_loss_that_is_exactly_flat_has_no_curvature(dtype, coupling, batch):
    given = problem("tanh", batch=batch, dtype=dtype)
    with torch.no_grad():
        given.model[4].bias.copy_(torch.tensor([1e4, 0, 0]))
    given.targets = torch.zeros(batch, dtype=torch.long)
    hessian = given.exact(coupling)
    assert hessian.loss == 0
    assert not hessian.eigenvalues().any()
    assert not hessian.newton_direction(0.1, "absolute").any()
    assert hessian.trace() == 0


def test_a_flat_loss_has_a_certificate():
    given = Problem(dense(nn.Tanh).double(), lambda outputs, _: (outputs * 0).sum(), *case("tanh").arguments[2:])
    assert given.exact().certificate(3).relative == 0


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("model", ["tanh", "two convolutions", "recurrent", "layer normalisation"])
def test_float32_is_right_to_its_digits(model, device):
    given = problem(model, dtype=torch.float32, device=device)
    hessian = given.exact()
    values = hessian.eigenvalues()
    assert (values.dtype, values.device.type) == (torch.float32, device)
    truth = torch.linalg.eigvalsh(case(model).hessian)
    # A hundred roundings of 6e-8 each, and those of the parameters, which are rounded too; TF32 has 5e-4.
    tolerance = 2e-5 if device == "cpu" else 5e-3
    assert relative_error(padded(values, len(truth)).double().cpu(), truth) < tolerance


@pytest.mark.parametrize("device", DEVICES[1:])
@pytest.mark.parametrize("model", MODELS)
def test_float64_on_the_device_is_as_exact(model, device):
    found = problem(model, device=device).exact().dense()
    assert relative_error(found.cpu(), case(model).hessian) < EXACT


def test_a_large_float32_batch_is_checked_as_strictly_as_a_small_one():
    class Centred(nn.Module):
        def forward(self, inputs):
            return inputs - inputs.mean(0)

    def make():
        return nn.Sequential(nn.Linear(4, 8), Centred(), nn.Tanh(), nn.Linear(8, 3))

    for batch in (2, 16, 128):
        with pytest.raises(CapabilityError, match="module '1' gives a sample another output"):
            problem(make, batch=batch, dtype=torch.float32).exact()


# What autograd takes for constants.


class Behind(nn.Module):
    """A layer whose output takes no part in derivatives."""

    def __init__(self, way):
        super().__init__()
        self.layer, self.way = nn.Linear(4, 4), way

    def forward(self, inputs):
        if self.way == "detach":
            return inputs + self.layer(inputs).detach()
        with torch.no_grad():
            shift = self.layer(inputs)
        return inputs + shift


@pytest.mark.parametrize("way", ["detach", "no_grad"])
def test_what_is_detached_is_a_constant_as_for_the_gradient(way):
    given = problem(lambda: nn.Sequential(nn.Linear(4, 4), nn.Tanh(), Behind(way), nn.Tanh(), nn.Linear(4, 3)))
    assert relative_error(given.exact().dense(), given.hessian) < EXACT
    assert not given.exact().gradient[20:40].any()


# Nothing else changes.


def test_nothing_but_the_result_is_left_behind():
    given = problem("dropout in evaluation")
    given.model[1].train()
    given.model[1].p = 0.0
    given.model[0][0].bias.requires_grad_(False)
    given.loss(given.model(given.inputs), given.targets).backward()
    before = [
        (p.clone(), p.grad if p.grad is None else p.grad.clone(), p.requires_grad) for p in given.model.parameters()
    ]
    modes = [module.training for module in given.model.modules()]
    hooks = (dict(nn.modules.module._global_forward_hooks), dict(nn.modules.module._global_forward_pre_hooks))
    random = torch.get_rng_state()
    hessian = given.exact()
    hessian.newton_direction(0.1, "flat", 0.1)
    hessian.certificate(2)
    given.per_sample().mean_newton_direction(0.1)
    for parameter, (value, gradient, required) in zip(given.model.parameters(), before, strict=True):
        assert torch.equal(parameter, value)
        assert parameter.grad is gradient or torch.equal(parameter.grad, gradient)
        assert parameter.requires_grad is required
    assert [module.training for module in given.model.modules()] == modes
    assert hooks == (nn.modules.module._global_forward_hooks, nn.modules.module._global_forward_pre_hooks)
    assert all(not module._forward_hooks for module in given.model.modules())
    assert torch.equal(torch.get_rng_state(), random)
    assert torch.is_grad_enabled()


@pytest.mark.parametrize("curvature", ["hessian", "ggn"])
def test_it_works_where_gradients_are_switched_off_and_leaves_them_off(curvature):
    truth = case("two convolutions").truth(curvature=curvature)
    with torch.no_grad():
        found = case("two convolutions").exact(curvature=curvature)
        assert relative_error(found.dense(), truth) < EXACT
        assert found.certificate(3).relative < EXACT
        assert not torch.is_grad_enabled()


def test_hooks_are_gone_after_a_refusal():
    with pytest.raises(CapabilityError):
        problem(lambda: nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Linear(4, 3))).exact()
    assert not nn.modules.module._global_forward_hooks
    assert not nn.modules.module._global_forward_pre_hooks


@pytest.mark.parametrize("curvature", ["hessian", "ggn"])
def test_results_hold_no_graph(curvature):
    hessian = case("two convolutions").exact(curvature=curvature)
    vector = torch.ones(hessian.parameter_count, dtype=torch.float64)
    results = [hessian.loss, hessian.gradient, hessian.eigenvalues(), hessian.matvec(vector), hessian.trace()]
    assert not any(result.requires_grad for result in [*results, hessian.newton_direction(0.1, "absolute")])


def test_inputs_that_require_gradients_are_left_alone():
    given = problem()
    given.inputs.requires_grad_()
    assert relative_error(given.exact().dense(), case("tanh").hessian) < EXACT
    assert given.inputs.grad is None


def test_parts_lie_where_parameters_to_vector_puts_them():
    # The sum of δ over the samples is the gradient of the last bias, which is the end of the vector.
    given = case("frozen weight")
    assert given.exact().parameter_count == len(flat(given.parameters)) == 30
    probabilities = given.model(given.inputs).detach().softmax(1)
    delta = (probabilities - functional.one_hot(given.targets, 3)).mean(0)
    torch.testing.assert_close(given.exact().gradient[-3:], delta)


def test_one_function_of_dropout_is_given_by_its_context():
    @contextmanager
    def same_masks():
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(7)
            yield

    given = problem(lambda: nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Dropout(0.5), nn.Linear(8, 3)))
    found = ExactHessian(*given.arguments, same_function=same_masks)
    with same_masks():
        truth = given.hessian
    assert relative_error(found.dense(), truth) < EXACT
