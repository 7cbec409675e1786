"""Each approximation of a Hessian is the dense matrix that it claims to be, on perceptrons and on convolutions."""

import pytest
import torch
from curvature_cases import flat, problem, relative_error
from torch import nn

from secondorder.curvature.forms.block_diagonal import BlockDiagonalForm
from secondorder.curvature.forms.exact import exact_form, layer_blocks_form, subsampled_form
from secondorder.curvature.forms.fisher import fisher_form
from secondorder.curvature.forms.kronecker_factored import ekfac_form, kfac_form
from secondorder.curvature.forms.limited_memory import gradient_descent_pairs, limited_memory_form
from secondorder.curvature.forms.reduced import diagonal_form
from secondorder.curvature.kronecker_factors import kronecker_layers
from secondorder.errors import CapabilityError, InputError
from secondorder.newton.limited_memory import CurvaturePair, inverse_product

CASES = {
    "perceptron": problem("tanh"),
    "convolutions": problem("two convolutions"),
    "strides, padding and dilation": problem("convolution with stride, padding and dilation"),
    "squared errors": problem("gelu", "squared error"),
    "normalisation, in another order": problem("used in another order"),
    "unused parameters": problem("unused parameters"),
}
EVERY = pytest.mark.parametrize("case", CASES.values(), ids=CASES)
SMALL = pytest.mark.parametrize(
    "case", [CASES["perceptron"], CASES["convolutions"]], ids=["perceptron", "convolutions"]
)


def matrix_of(form):
    return form.applied(torch.eye(form.size, dtype=torch.float64))


def assert_is(form, truth, tolerance=1e-12):
    assert relative_error(matrix_of(form), truth) < tolerance


# The Hessian and exact parts of it


@EVERY
def test_the_exact_form_is_the_dense_hessian(case):
    form = exact_form(*case.arguments)
    assert_is(form, case.hessian)
    spectrum = form.spectrum()
    found = spectrum.values.repeat_interleave(spectrum.counts)
    assert relative_error(found, torch.linalg.eigvalsh(case.hessian)) < 1e-12


@EVERY
def test_the_layer_blocks_are_those_of_the_dense_hessian(case):
    form = layer_blocks_form(*case.arguments)
    assert_is(form, case.blocks(case.hessian))
    assert form.numbers <= sum(len(positions) * (len(positions) + 1) for positions, _ in form.blocks)


@SMALL
def test_the_diagonal_form_is_the_diagonal_of_the_dense_hessian(case):
    assert_is(diagonal_form(exact_form(*case.arguments)), case.hessian.diag().diag())


@pytest.mark.parametrize(("share", "samples"), [(1.0, 3), (0.5, 2), (0.01, 1)])
def test_the_subsampled_form_is_the_hessian_of_the_first_samples(share, samples):
    case = CASES["convolutions"]
    alone = torch.stack([each.hessian for each in case.samples[:samples]])
    assert_is(subsampled_form(*case.arguments, share), alone.mean(0))


DIFFERENT = {
    "exact for Gauss-Newton": lambda case: (exact_form(*case.arguments), case.gauss_newton),
    "blocks for everything": lambda case: (layer_blocks_form(*case.arguments), case.hessian),
    "two samples for three": lambda case: (subsampled_form(*case.arguments, 0.5), case.hessian),
    "empirical for Gauss-Newton": lambda case: (fisher_form(*case.arguments, "empirical"), case.gauss_newton),
    "one draw for the expectation": lambda case: (fisher_form(*case.arguments, "mc"), case.gauss_newton),
}


@SMALL
@pytest.mark.parametrize("made", DIFFERENT.values(), ids=DIFFERENT)
def test_the_comparison_sees_another_matrix(case, made):
    assert relative_error(matrix_of(made(case)[0]), made(case)[1]) > 1e-3


# Fisher matrices


@EVERY
def test_the_empirical_fisher_matrix_is_the_mean_of_the_samples_own_outer_products(case):
    own = [each.gradient for each in case.samples]
    truth = torch.stack([torch.outer(gradient, gradient) for gradient in own]).mean(0)
    form = fisher_form(*case.arguments, "empirical")
    assert_is(form, truth)
    assert len(form.values) <= len(own)


@EVERY
def test_the_fisher_matrix_of_all_outputs_is_the_gauss_newton_matrix(case):
    assert_is(fisher_form(*case.arguments, "type2"), case.gauss_newton)


@pytest.mark.parametrize("draws", [10, 400])
@SMALL
def test_random_draws_are_right_in_the_mean(case, draws):
    found = matrix_of(fisher_form(*case.arguments, "mc", draws))
    # For independent signs E ‖J'M(εε' − I)M'J‖² ≤ 2 ‖J'MM'J‖², and draws and samples are independent.
    own = torch.stack([each.gauss_newton for each in case.samples]) / len(case.samples)
    deviation = (2 * own.square().sum() / draws) ** 0.5
    assert torch.linalg.norm(found - case.gauss_newton) < 2 * deviation
    assert torch.linalg.norm(2 * found - case.gauss_newton) > 2 * deviation


def test_a_seed_makes_the_draws_and_leaves_the_global_generator_alone():
    case, before = CASES["perceptron"], torch.get_rng_state()
    first, again, other = (matrix_of(fisher_form(*case.arguments, "mc", 2, seed)) for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.allclose(first, other)
    assert torch.equal(torch.get_rng_state(), before)


def test_the_vectors_of_the_fisher_matrix_are_orthonormal_although_two_gradients_are_nearly_the_same():
    case = problem("tanh")
    case.inputs[1], case.targets[1] = case.inputs[0] + 1e-7, case.targets[0]
    vectors = fisher_form(*case.arguments, "empirical").vectors
    assert (vectors.T @ vectors - torch.eye(vectors.shape[1])).abs().max() < 1e-12


# Kronecker factors


def theirs(operator, case, sharing):
    """The dense matrix of curvlinops, weight and bias together."""
    linear = operator(
        case.model,
        nn.CrossEntropyLoss(),
        case.parameters,
        [(case.inputs, case.targets)],
        fisher_type="type-2",
        kfac_approx=sharing,
        separate_weight_and_bias=False,
        check_deterministic=False,
    )
    return linear @ torch.eye(len(case.theta), dtype=torch.float64)


@pytest.mark.parametrize("sharing", ["expand", "reduce"])
@pytest.mark.parametrize("name", ["tanh", "two convolutions", "convolution with stride, padding and dilation"])
@pytest.mark.parametrize("make", [kfac_form, ekfac_form])
def test_kronecker_factored_forms_are_those_of_curvlinops(make, name, sharing):
    import curvlinops

    # As many samples as make all factors of inputs regular: EKFAC depends on the basis of an eigenspace.
    case = problem(name, batch=12)
    operator = curvlinops.KFACLinearOperator if make is kfac_form else curvlinops.EKFACLinearOperator
    truth = theirs(operator, case, sharing)
    assert_is(make(*case.arguments, sharing), truth, 1e-10)
    other = ekfac_form if make is kfac_form else kfac_form
    assert relative_error(matrix_of(other(*case.arguments, sharing)), truth) > 1e-3


def test_that_check_sees_a_joint_matrix_that_is_flattened_by_columns():
    form = kfac_form(*CASES["perceptron"].arguments)
    blocks = [(places.reshape(block.moments.shape).T.flatten(), block) for places, block in form.blocks]
    assert relative_error(matrix_of(BlockDiagonalForm(form.size, blocks)), matrix_of(form)) > 0.1


@SMALL
def test_ekfac_is_nearer_to_the_blocks_of_the_gauss_newton_matrix_and_has_their_trace(case):
    truth = case.blocks(case.gauss_newton)
    found = ekfac_form(*case.arguments)
    errors = [torch.linalg.norm(matrix_of(form) - truth) for form in (found, kfac_form(*case.arguments))]
    assert errors[0] < errors[1]
    assert found.spectrum().trace == pytest.approx(float(truth.trace()), rel=1e-12)


def test_k_fac_is_made_of_fewer_numbers_than_ekfac():
    # Factors of 4 + 1 inputs and 3 outputs, 3 + 1 and 3, and 3 + 1 and 3; their eigenvalues, or a moment for each pair.
    bases = 25 + 9 + 2 * (16 + 9)
    assert kfac_form(*CASES["perceptron"].arguments).numbers == bases + (5 + 3) + 2 * (4 + 3)
    assert ekfac_form(*CASES["perceptron"].arguments).numbers == bases + 15 + 2 * 12


@pytest.mark.parametrize("make", [kfac_form, ekfac_form])
@pytest.mark.parametrize("name", ["normalisation, in another order", "unused parameters"])
def test_parameters_of_no_kronecker_layer_have_no_curvature(make, name):
    case = CASES[name]
    held = {parameter for layer in kronecker_layers(case.model).values() for parameter in layer.parameters()}
    held -= set(getattr(case.model, "unused", nn.Identity()).parameters())
    inside = flat([torch.full_like(parameter, float(parameter in held)) for parameter in case.parameters]).bool()
    found = matrix_of(make(*case.arguments))
    assert not found[~inside].any()
    assert (found[inside].diagonal() != 0).any()
    assert (~inside).any()
    own = matrix_of(make(*case.arguments))[inside][:, inside]
    assert float(own.trace()) == pytest.approx(make(*case.arguments).spectrum().trace, rel=1e-12)


# The matrix of L-BFGS


def random_pairs(count, size=12):
    """Steps and differences of a quadratic function that is not convex."""
    generator = torch.Generator().manual_seed(3)
    root = torch.randn(size, size, dtype=torch.float64, generator=generator)
    curvature = root @ root.T - 2 * torch.eye(size, dtype=torch.float64)
    steps = torch.randn(count, size, dtype=torch.float64, generator=generator)
    return [(step, curvature @ step) for step in steps]


def dense_recursion(pairs):
    """Equation 6.19 of Nocedal & Wright, from γ I with γ of the newest pair."""
    step, change = pairs[-1]
    matrix = (change @ change) / (step @ change) * torch.eye(len(step), dtype=torch.float64)
    for step, change in pairs:
        image = matrix @ step
        matrix = matrix - torch.outer(image, image) / (step @ image) + torch.outer(change, change) / (step @ change)
    return matrix


def of_descent():
    """Pairs of nearly parallel steps, but for those of negative curvature."""
    pairs = gradient_descent_pairs(*CASES["convolutions"].arguments, 5, 0.5)
    return [(step, change) for step, change in pairs if step @ change > 0]


PAIRS = {
    "one pair": random_pairs(1),
    "four pairs": random_pairs(4),
    "as many as rows": random_pairs(12),
    "lengths far apart": [(10.0**-power * s, 10.0**-power * y) for power, (s, y) in enumerate(random_pairs(4))],
    "gradient descent": of_descent(),
}
EVERY_PAIRS = pytest.mark.parametrize("pairs", PAIRS.values(), ids=PAIRS)


@EVERY_PAIRS
def test_the_limited_memory_form_is_the_dense_recursion(pairs):
    form = limited_memory_form(pairs)
    assert_is(form, dense_recursion(pairs), 1e-11)
    assert len(form.values) == min(2 * len(pairs), form.size)


@EVERY_PAIRS
def test_it_is_the_inverse_of_what_two_loops_multiply_with(pairs):
    form = limited_memory_form(pairs)
    step, change = pairs[-1]
    vector = torch.linspace(-1, 1, form.size, dtype=torch.float64)
    solved = inverse_product([CurvaturePair(*pair) for pair in pairs], vector, (step @ change) / (change @ change))
    assert relative_error(form.applied(solved[:, None])[:, 0], vector) < 1e-9
    assert relative_error(form.direction(vector, 0.0), -solved) < 1e-9


def test_that_check_sees_pairs_in_another_order():
    assert relative_error(matrix_of(limited_memory_form(random_pairs(4)[::-1])), dense_recursion(random_pairs(4))) > 0.1


def test_pairs_without_positive_curvature_are_skipped():
    pairs = random_pairs(3)
    step, change = pairs[1]
    across = change - (change @ step) / (step @ step) * step
    useless = [(step, -change), (step, across), (0 * step, 0 * step)]
    found = matrix_of(limited_memory_form([pairs[0], *useless, *pairs[1:], *useless]))
    assert torch.equal(found, matrix_of(limited_memory_form(pairs)))
    assert torch.equal(matrix_of(limited_memory_form(useless)), torch.eye(12, dtype=torch.float64))


def test_gradient_descent_shows_the_curvature_along_its_steps():
    case = problem("one layer", "squared error")
    before = case.theta.clone()
    pairs = gradient_descent_pairs(*case.arguments, 3, 0.1)
    assert torch.equal(case.theta, before)
    assert torch.allclose(pairs[0][0], -0.1 * case.gradient, rtol=1e-12)
    for (step, change), (later, _) in zip(pairs, [*pairs[1:], (None, None)], strict=True):
        assert relative_error(change, case.hessian @ step) < 1e-12
        before = before + step
        if later is not None:
            assert relative_error(later, -0.1 * case.at(before).gradient) < 1e-12


# What is refused


def coupled(*between):
    return problem(lambda: nn.Sequential(nn.Linear(4, 4), *between, nn.Linear(4, 3)))


REFUSALS = {
    "a share of nothing": (lambda: subsampled_form(*problem().arguments, 0), InputError, "share is 0"),
    "no draws": (lambda: fisher_form(*problem().arguments, "mc", 0), InputError, "draws is 0"),
    "no sample alone": (
        lambda: fisher_form(*coupled(nn.BatchNorm1d(4)).arguments, "type2"),
        CapabilityError, r"cannot be run on one sample alone: Expected more than 1 value .*model\.eval",
    ),
    "samples that are coupled": (
        lambda: fisher_form(*coupled(nn.Unflatten(1, (2, 2)), nn.BatchNorm1d(2), nn.Flatten()).arguments, "type2"),
        CapabilityError, r"propagates something else back than in its batch.*model\.eval",
    ),
    "no Kronecker layer": (
        lambda: kfac_form(*problem(lambda: nn.Sequential(nn.LayerNorm(4))).arguments),
        CapabilityError, "Sequential: none of its modules is a Linear or Conv2d layer",
    ),
    "no pairs": (lambda: limited_memory_form([]), InputError, "there are no pairs"),
    "a pair that is no number": (
        lambda: limited_memory_form([*random_pairs(1), (torch.full((12,), torch.nan), torch.ones(12))]),
        InputError, "pair 1 has entries that are not finite",
    ),
    "no steps": (lambda: gradient_descent_pairs(*problem().arguments, 0, 0.1), InputError, "count is 0"),
    "no length": (lambda: gradient_descent_pairs(*problem().arguments, 1, 0.0), InputError, r"learning_rate is 0\.0"),
}  # fmt: skip


@pytest.mark.parametrize(("mistake", "error", "message"), REFUSALS.values(), ids=REFUSALS)
def test_mistakes_are_refused(mistake, error, message):
    with pytest.raises(error, match=message):
        mistake()
