"""Every operation that is known has the products of double backward."""

import math

import numpy as np
import pytest
import torch
from analytic_cases import METHODS, Applied, bent, products, relative_error
from torch.nn import functional

from secondorder.analytic.compositions import COMPOSITIONS, IN_PLACE
from secondorder.analytic.operations import METADATA, PRIMITIVES

TOLERANCE = 1e-12
STEADY = torch.arange(1.0, 5.0, dtype=torch.float64)
MASK = torch.tensor([[True, False, True, False]])
LABELS = torch.tensor([0, 2, 1, 2, -100])
CLASS_WEIGHTS = torch.tensor([0.5, 1.0, 2.5], dtype=torch.float64)
PROBABILITIES = torch.tensor([[0.2, 0.3, 0.5]] * 5, dtype=torch.float64)


def case(identity, function, *shapes, positive=False):
    return pytest.param(function, shapes, positive, id=identity)


LINEAR = [
    case("reshape", lambda x: x.reshape(2, 6), (3, 4)),
    case("view", lambda x: x.view(-1, 6), (3, 4)),
    case("flatten", lambda x: x.flatten(1), (3, 4, 2)),
    case("unflatten", lambda x: x.unflatten(1, (2, 2)), (3, 4)),
    case("transpose", lambda x: x.transpose(0, 1), (3, 4)),
    case("T", lambda x: x.T, (3, 4)),
    case("mT", lambda x: x.mT, (2, 3, 4)),
    case("t", lambda x: x.t(), (3, 4)),
    case("permute", lambda x: x.permute(2, 0, 1), (2, 3, 4)),
    case("movedim", lambda x: x.movedim(0, -1), (2, 3, 4)),
    case("squeeze and unsqueeze", lambda x: x.squeeze(1).unsqueeze(0), (3, 1, 4)),
    case("expand", lambda x: x.expand(3, 4), (1, 4)),
    case("repeat", lambda x: x.repeat(2, 3), (2, 4)),
    case("repeat_interleave", lambda x: x.repeat_interleave(2, dim=0), (2, 4)),
    case("getitem, slices", lambda x: x[1:, ::2], (3, 4)),
    case("getitem, indices that repeat", lambda x: x[torch.tensor([0, 0, 2])], (3, 4)),
    case("getitem, mask", lambda x: x[MASK.expand(3, 4)], (3, 4)),
    case("index_select", lambda x: x.index_select(1, torch.tensor([3, 0, 0])), (3, 4)),
    case("gather", lambda x: x.gather(1, torch.tensor([[0, 1], [2, 2]])), (2, 4)),
    case("flip and roll", lambda x: x.flip(0).roll(1, 1), (3, 4)),
    case("tril", lambda x: x.tril(), (3, 3)),
    case("cumsum", lambda x: x.cumsum(1), (3, 4)),
    case("cat", lambda x, y: torch.cat([x, y], 1), (3, 2), (3, 4)),
    case("cat with a constant", lambda x: torch.cat([x, torch.ones(3, 2, dtype=torch.float64)], 1), (3, 4)),
    case("stack", lambda x, y: torch.stack([x, y], 1), (3, 4), (3, 4)),
    case("split", lambda x: torch.split(x, 2, 1)[1], (3, 4)),
    case("chunk", lambda x: x.chunk(2, 0)[0], (4, 3)),
    case("unbind", lambda x: x.unbind(0)[1], (3, 4)),
    case("iteration", lambda x: sum(row * k for k, row in enumerate(x)), (3, 4)),
    case("pad", lambda x: functional.pad(x, (1, 2)), (3, 4)),
    case("pad with a value", lambda x: functional.pad(x, (1, 2), value=3.0), (3, 4)),
    case("pad, circular", lambda x: functional.pad(x, (1, 2), mode="circular"), (1, 3, 4)),
    case("pad, reflecting", lambda x: functional.pad(x, (1, 2), mode="reflect"), (1, 3, 4)),
    case("sum", lambda x: x.sum(1, keepdim=True), (3, 4)),
    case("mean", lambda x: torch.mean(x, (0, 2)), (3, 4, 2)),
    case("masked_fill", lambda x: x.masked_fill(MASK, -1.5), (3, 4)),
    case("where", lambda x, y: torch.where(MASK, x, y), (3, 4), (1, 4)),
    case("where with a number", lambda x: torch.where(MASK, x, 0.5), (3, 4)),
    case("avg_pool1d", lambda x: functional.avg_pool1d(x, 2), (2, 3, 6)),
    case("avg_pool2d", lambda x: functional.avg_pool2d(x, 2, stride=1, padding=1), (2, 3, 4, 4)),
    case("avg_pool3d", lambda x: functional.avg_pool3d(x, 2), (1, 2, 4, 4, 4)),
    case("adaptive_avg_pool1d", lambda x: functional.adaptive_avg_pool1d(x, 3), (2, 2, 7)),
    case("adaptive_avg_pool2d", lambda x: functional.adaptive_avg_pool2d(x, (2, 3)), (2, 2, 5, 5)),
    case("pixel_shuffle", lambda x: functional.pixel_shuffle(x, 2), (1, 4, 2, 2)),
    case("interpolate", lambda x: functional.interpolate(x, scale_factor=2, mode="bilinear"), (1, 2, 3, 3)),
    case("embedding", lambda w: functional.embedding(torch.tensor([0, 2, 2]), w), (4, 3)),
    case("embedding with padding", lambda w: functional.embedding(torch.tensor([0, 1, 2]), w, 1), (4, 3)),
]
SUMS = [
    case("addition", lambda x, y: x + y, (3, 4), (4,)),
    case("add with alpha", lambda x, y: torch.add(x, y, alpha=-0.7), (3, 4), (3, 1)),
    case("addition of a number", lambda x: 2.5 + x + 1, (3, 4)),
    case("subtraction", lambda x, y: x - y, (3, 4), (1, 4)),
    case("subtraction from a number", lambda x: 2.5 - x - 1, (3, 4)),
    case("subtraction from a constant", lambda x: torch.ones(4, dtype=torch.float64) - x, (3, 4)),
    case("negation", lambda x: -x, (3, 4)),
]
PRODUCTS = [
    case("multiplication", lambda x, y: x * y, (3, 4), (3, 4)),
    case("multiplication with broadcasting", lambda x, y: x * y, (3, 1), (2, 1, 4)),
    case("multiplication by itself", lambda x: x * x, (3, 4)),
    case("multiplication by a number", lambda x: 2.5 * x, (3, 4)),
    case("multiplication by a constant", lambda x: torch.arange(4.0, dtype=torch.float64) * x, (3, 4)),
    case("division", lambda x, y: x / y, (3, 4), (4,), positive=True),
    case("division of a number", lambda x: 2.5 / x, (3, 4), positive=True),
    case("division by a number", lambda x: x / 2.5, (3, 4)),
    case("matrix product", lambda x, y: x @ y, (3, 4), (4, 2)),
    case("matrix products, batched", lambda x, y: torch.bmm(x, y), (2, 3, 4), (2, 4, 2)),
    case("matrix products with broadcasting", lambda x, y: x @ y, (2, 1, 3, 4), (5, 4, 2)),
    case("matrix times vector", lambda x, y: x @ y, (3, 4), (4,)),
    case("vector times matrix", lambda x, y: x @ y, (3,), (3, 4)),
    case("inner product", lambda x, y: torch.dot(x, y), (3,), (3,)),
    case("inner product of matrices", lambda x, y: torch.inner(x, y), (3, 4), (2, 4)),
    case("inner product of a matrix with itself", lambda x: torch.inner(x, x), (3, 4)),
    case("constant times matrix", lambda x: torch.ones(2, 3, dtype=torch.float64) @ x, (3, 4)),
    case("linear", functional.linear, (5, 3), (4, 3), (4,)),
    case("linear with a bias of one entry", functional.linear, (5, 3), (4, 3), (1,)),
    case("linear with a bias without dimensions", functional.linear, (5, 3), (4, 3), ()),
    case("linear with a bias for each row", functional.linear, (5, 3), (4, 3), (5, 4)),
    case("linear whose bias alone moves", lambda b: functional.linear(PROBABILITIES, torch.eye(3).double(), b), (3,)),
    case("linear without bias, of three dimensions", functional.linear, (2, 5, 3), (4, 3)),
    case("conv1d", lambda x, w, b: functional.conv1d(x, w, b, 2, 1), (2, 3, 7), (4, 3, 3), (4,)),
    case(
        "conv1d, even kernel, same padding", lambda x, w: functional.conv1d(x, w, padding="same"), (2, 3, 7), (4, 3, 4)
    ),
    case("conv2d", lambda x, w, b: functional.conv2d(x, w, b, (1, 2), (2, 0)), (2, 3, 5, 6), (4, 3, 3, 2), (4,)),
    case("conv2d, dilated", lambda x, w: functional.conv2d(x, w, dilation=2), (2, 3, 6, 6), (4, 3, 3, 2)),
    case("conv2d, grouped", lambda x, w: functional.conv2d(x, w, groups=2), (2, 4, 5, 5), (6, 2, 3, 3)),
    case("conv2d, without a batch", lambda x, w: functional.conv2d(x, w), (3, 5, 5), (4, 3, 3, 3)),
    case("conv3d", lambda x, w: functional.conv3d(x, w), (1, 2, 4, 4, 4), (3, 2, 2, 2, 2)),
    case("conv_transpose1d", lambda x, w, b: functional.conv_transpose1d(x, w, b, 2), (2, 3, 4), (3, 2, 3), (2,)),
    case(
        "conv_transpose2d",
        lambda x, w: functional.conv_transpose2d(x, w, None, 2, 1, 1, 1),
        (2, 3, 4, 4),
        (3, 2, 3, 3),
    ),
    case(
        "conv_transpose2d, grouped",
        lambda x, w: functional.conv_transpose2d(x, w, groups=2),
        (2, 4, 3, 3),
        (4, 3, 2, 2),
    ),
]
ELEMENTWISE = [
    *(
        case(function.__name__, function, (3, 4))
        for function in (
            torch.exp,
            torch.expm1,
            torch.tanh,
            torch.sigmoid,
            torch.sin,
            torch.cos,
            torch.erf,
            torch.square,
            torch.abs,
            functional.relu,
            functional.relu6,
            functional.elu,
            functional.selu,
            functional.celu,
            functional.gelu,
            functional.silu,
            functional.mish,
            functional.softplus,
            functional.softsign,
            functional.tanhshrink,
            functional.hardtanh,
            functional.hardswish,
            functional.hardshrink,
            functional.softshrink,
            functional.logsigmoid,
            functional.leaky_relu,
            functional.glu,
        )
    ),
    *(
        case(function.__name__, function, (3, 4), positive=True)
        for function in (torch.log, torch.log1p, torch.sqrt, torch.rsqrt, torch.reciprocal)
    ),
    case("gelu by tanh", lambda x: functional.gelu(x, approximate="tanh"), (3, 4)),
    case("elu with alpha", lambda x: functional.elu(x, 0.3), (3, 4)),
    case("softplus with beta and threshold", lambda x: functional.softplus(x, 2.0, 1.5), (3, 4)),
    case("leaky_relu with a slope", lambda x: functional.leaky_relu(x, -0.3), (3, 4)),
    case("threshold", lambda x: functional.threshold(x, 0.2, -1.0), (3, 4)),
    case("clamp", lambda x: x.clamp(-0.3, 0.8), (3, 4)),
    case("clamp to one side", lambda x: x.clamp(max=0.3) + x.clamp_min(-0.2), (3, 4)),
    case("prelu", lambda x, w: functional.prelu(x, w), (3, 4), (4,)),
    case("prelu of one slope", lambda x, w: functional.prelu(x, w), (3, 4), (1,)),
    *(case(f"power {p}", lambda x, p=p: x**p, (3, 4)) for p in (1, 2, 3, 5, -1, -2)),
    *(case(f"power {p} at 0", lambda x, p=p: x.relu() ** p, (3, 4)) for p in (2.5, 3.5)),
    case("power 0.7", lambda x: x**0.7, (3, 4), positive=True),
    case("power -1.5", lambda x: x.pow(-1.5), (3, 4), positive=True),
]
SELECTIONS = [
    case("max_pool1d", lambda x: functional.max_pool1d(x, 2), (2, 3, 6)),
    case("max_pool2d", lambda x: functional.max_pool2d(x, 3, 2, 1, ceil_mode=True), (2, 3, 6, 6)),
    case("max_pool2d, without a batch", lambda x: functional.max_pool2d(x, 2), (3, 6, 6)),
    case("max_pool3d", lambda x: functional.max_pool3d(x, 2), (1, 2, 4, 4, 4)),
    case("adaptive_max_pool2d", lambda x: functional.adaptive_max_pool2d(x, 2), (2, 3, 5, 5)),
    case("max", lambda x: x.max(), (3, 4)),
    case("max over a dimension", lambda x: x.max(1)[0], (3, 4)),
    case("min over a dimension", lambda x: x.min(0, keepdim=True).values, (3, 4)),
]
MOMENTS = [
    case("var", lambda x: x.var(), (3, 4)),
    case("var over dimensions, biased", lambda x: x.var((0, 2), unbiased=False), (3, 4, 2)),
    case("var with a correction", lambda x: torch.var(x, 1, correction=0, keepdim=True), (3, 4)),
    case("std", lambda x: x.std(1), (3, 4)),
    case("norm", lambda x: x.norm(), (3, 4)),
    case("norm over a dimension", lambda x: x.norm(dim=1), (3, 4)),
    case("vector_norm", lambda x: torch.linalg.vector_norm(x, dim=0), (3, 4)),
    case("normalize", lambda x: functional.normalize(x), (3, 4)),
    case("softmax", lambda x: x.softmax(1), (3, 4)),
    case("log_softmax", lambda x: functional.log_softmax(x, 0), (3, 4)),
    case("logsumexp", lambda x: torch.logsumexp(x, 1), (3, 4)),
    case("layer_norm", lambda x, w, b: functional.layer_norm(x, (4,), w, b), (3, 4), (4,), (4,)),
    case("group_norm", lambda x, w, b: functional.group_norm(x, 2, w, b), (2, 4, 3), (4,), (4,)),
    case("instance_norm", lambda x: functional.instance_norm(x), (2, 3, 5)),
    case("batch_norm", lambda x, w, b: functional.batch_norm(x, None, None, w, b, True), (5, 3), (3,), (3,)),
]
LOSSES = [
    case("cross_entropy", lambda x: functional.cross_entropy(x, LABELS), (5, 3)),
    case("cross_entropy, summed", lambda x: functional.cross_entropy(x, LABELS, reduction="sum"), (5, 3)),
    case("cross_entropy of one sample", lambda x: functional.cross_entropy(x, torch.tensor(1)), (3,)),
    case("cross_entropy of images", lambda x: functional.cross_entropy(x, LABELS.reshape(1, 5)), (1, 3, 5)),
    case("cross_entropy with class weights", lambda x: functional.cross_entropy(x, LABELS, CLASS_WEIGHTS), (5, 3)),
    case(
        "cross_entropy with everything",
        lambda x: functional.cross_entropy(x, LABELS.abs() % 7, CLASS_WEIGHTS, ignore_index=2, label_smoothing=0.2),
        (5, 3),
    ),
    case("cross_entropy of probabilities", lambda x: functional.cross_entropy(x, PROBABILITIES), (5, 3)),
    case(
        "cross_entropy of probabilities with everything",
        lambda x: functional.cross_entropy(x, PROBABILITIES, CLASS_WEIGHTS, label_smoothing=0.2),
        (5, 3),
    ),
    case("cross_entropy of bytes", lambda x: functional.cross_entropy(x[:4], LABELS[:4].byte()), (5, 3)),
    case("nll_loss", lambda x: functional.nll_loss(x.log_softmax(1), LABELS, CLASS_WEIGHTS), (5, 3)),
    case("mse_loss", lambda x: functional.mse_loss(x, PROBABILITIES), (5, 3)),
    case("l1_loss", lambda x: functional.l1_loss(x.sin(), PROBABILITIES), (5, 3)),
    case(
        "binary_cross_entropy_with_logits",
        lambda x: functional.binary_cross_entropy_with_logits(
            x, PROBABILITIES, CLASS_WEIGHTS, pos_weight=CLASS_WEIGHTS
        ),
        (5, 3),
    ),
]
IN_PLACE_CASES = [
    case("relu_", lambda x: functional.relu(2 * x, inplace=True) * x, (3, 4)),
    case("add_", lambda x, y: (2 * x).add_(y) * x, (3, 4), (4,)),
    case("multiplication in place", lambda x, y: imul(x.sin(), y) * x, (3, 4), (4,)),
    case("a chain in place", lambda x: (x + 1).mul_(2).sub_(0.5).tanh_() * x, (3, 4)),
]


def with_changing_indices(x):
    columns, total = [0], 0
    for k in range(3):
        columns[0] = k
        total = total + x[:, columns] ** (k + 1)
    return total


def with_changing_array(x):
    columns = np.array([0, 1])
    first = x[:, columns] ** 2
    columns += 1
    return first * x[:, columns]


def with_changing_padding(x):
    sides = [1, 1]
    first = functional.pad(x, sides)
    sides[:] = [2, 0]
    return first * functional.pad(x, sides)


def with_changing_divisor(x):
    divisor = torch.arange(1.0, 5.0, dtype=torch.float64)
    quotient = x / divisor
    divisor.data.add_(3)
    return quotient


REUSED = [
    case("a list of indices", with_changing_indices, (3, 4)),
    case("a list of sides", with_changing_padding, (3, 4)),
]


def imul(x, y):
    x *= y
    return x


CASES = [*LINEAR, *SUMS, *PRODUCTS, *ELEMENTWISE, *SELECTIONS, *MOMENTS, *LOSSES, *IN_PLACE_CASES, *REUSED]


@pytest.mark.parametrize(("function", "shapes", "positive"), CASES)
def test_the_product_is_that_of_double_backward(function, shapes, positive):
    torch.manual_seed(1)
    module = Applied(function, *shapes, positive=positive)
    truth, found = products(module, lambda: bent(module()))
    for method in METHODS:
        assert relative_error(found[method], truth) < TOLERANCE, method


ACTIVATIONS = [
    torch.abs,
    functional.relu,
    functional.relu6,
    functional.elu,
    functional.selu,
    functional.gelu,
    functional.silu,
    functional.mish,
    functional.softplus,
    functional.softsign,
    functional.tanhshrink,
    functional.hardtanh,
    functional.hardswish,
    functional.hardshrink,
    functional.softshrink,
    functional.logsigmoid,
    functional.leaky_relu,
    functional.celu,
]


@pytest.mark.parametrize("function", ACTIVATIONS, ids=lambda function: function.__name__)
def test_at_zero_an_activation_takes_the_side_that_pytorch_takes(function):
    torch.manual_seed(1)
    module = Applied(lambda x, w: (function(x) + 0.1 * x) * w + x.square(), (3, 4), (3, 4))
    with torch.no_grad():
        module.arguments[0].zero_()
    truth, found = products(module, lambda: bent(module()))
    for method in METHODS:
        assert relative_error(found[method], truth) < TOLERANCE, method


@pytest.mark.parametrize(
    ("function", "formula"),
    [
        pytest.param(functional.hardsigmoid, lambda x: x.clamp(-3, 3) / 6 + 0.5, id="hardsigmoid has none"),
        pytest.param(
            lambda x: functional.celu(x, 0.3),
            lambda x: x.clamp(min=0) + 0.3 * torch.expm1(x.clamp(max=0) / 0.3),
            id="that of celu is rounded to single precision",
        ),
        pytest.param(
            lambda x: torch.var(x, dim=(), unbiased=False),
            lambda x: torch.var(x, unbiased=False),
            id="var over no dimensions is over all",
        ),
        pytest.param(with_changing_divisor, lambda x: x / STEADY, id="a divisor is kept as it was"),
        pytest.param(
            with_changing_array, lambda x: x[:, :2] ** 2 * x[:, 1:3], id="an array of indices is kept as it was"
        ),
    ],
)
def test_where_pytorch_errs_the_product_is_that_of_the_formula(function, formula):
    torch.manual_seed(1)
    module = Applied(function, (3, 4))
    truth, found = products(module, lambda: bent(module()), lambda: bent(formula(*module.arguments)))
    for method in METHODS:
        assert relative_error(found[method], truth) < TOLERANCE, method


def test_functions_are_in_one_table_each():
    tables = [set(PRIMITIVES), set(COMPOSITIONS), set(IN_PLACE), set(METADATA)]
    assert sum(map(len, tables)) == len(set().union(*tables))


def test_a_constant_function_of_parameters_leaves_them_without_curvature():
    module = Applied(lambda x: (torch.zeros_like(x) + x.shape[0]).sum() + (x * x).sum() / math.sqrt(4), (3, 4))
    truth, found = products(module, module)
    for method in METHODS:
        assert relative_error(found[method], truth) < TOLERANCE
