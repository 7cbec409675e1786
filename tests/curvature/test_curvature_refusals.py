"""What the closed form does not describe and input that makes no sense is refused by name; no result is wrong."""

import pytest
import torch
from curvature_cases import Problem, WithUnused, dense, labels, numbers, problem, relative_error
from torch import nn
from torch.nn import functional
from torch.nn.utils import parametrizations
from torch.utils.checkpoint import checkpoint

from secondorder.curvature import ExactHessian, PerSampleHessians
from secondorder.curvature.layers import take_apart
from secondorder.errors import CapabilityError, ConfigurationError, InputError

CLASSES = [pytest.param(ExactHessian, id="exact"), pytest.param(PerSampleHessians, id="per sample")]
KINDS = [(coupling, curvature) for coupling in ("full", "layerwise") for curvature in ("hessian", "ggn")]


class Function(nn.Module):
    """A module of other modules and parameters with a forward pass of its own."""

    def __init__(self, function, **members):
        super().__init__()
        for name, member in members.items():
            setattr(self, name, member)
        self.function = function

    def forward(self, inputs):
        return self.function(self, inputs)


def around(function, **makers):
    """A network with that function between two layers; its members are made by ``makers``."""

    def make():
        members = {name: maker() for name, maker in makers.items()}
        return nn.Sequential(nn.Linear(4, 4), nn.Tanh(), Function(function, **members), nn.Tanh(), nn.Linear(4, 3))

    return make


def layer():
    return nn.Linear(4, 4)


def vector():
    return nn.Parameter(torch.randn(4))


def between(*parts):
    """A network with these parts between two layers."""
    return lambda: nn.Sequential(nn.Linear(4, 4), *(part() for part in parts), nn.Linear(4, 3))


def weight_shared_by_layers_with_biases_of_their_own():
    model = nn.Sequential(nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 4), nn.Linear(4, 3))
    model[2].weight = model[0].weight
    return model


def one_parameter_as_weight_and_bias():
    model = nn.Sequential(nn.Linear(4, 4), nn.LayerNorm(4), nn.Linear(4, 3))
    model[1].bias = model[1].weight
    return model


def attention_of(module, inputs):
    return module.attention(inputs[:, None], inputs[:, None], inputs[:, None])[0][:, 0]


class Alias(nn.Module):
    """Changes its weight through another name of the same memory."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 4, dtype=torch.float64)
        self.names = [self.layer.weight.data]

    def forward(self, inputs):
        self.names[0].mul_(1.01)
        return self.layer(inputs)


class HiddenLinear(torch.autograd.Function):
    """A linear map that only its own derivative knows."""

    @staticmethod
    def forward(context, inputs, weight):
        context.save_for_backward(inputs, weight)
        return functional.linear(inputs, weight)

    @staticmethod
    def backward(context, gradient):
        inputs, weight = context.saved_tensors
        return gradient @ weight, gradient.mT @ inputs


class OnceDifferentiable(torch.autograd.Function):
    """A sine without a second derivative."""

    @staticmethod
    def forward(context, inputs):
        context.save_for_backward(inputs)
        return inputs.sin()

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(context, gradient):
        return gradient * context.saved_tensors[0].cos()


class Counting(nn.Module):
    """Another function at every call."""

    def __init__(self, period=None):
        super().__init__()
        self.layer, self.calls, self.period = nn.Linear(4, 4), 0, period

    def forward(self, inputs):
        self.calls += 1
        factor = self.calls if self.period is None else 1 + (self.calls % self.period == 0)
        return factor * self.layer(inputs)


def in_place(module, inputs):
    doubled = inputs * 2
    return doubled.add_(module.layer(doubled))


def filled(module, inputs):
    buffer = torch.ones_like(inputs)
    buffer[:] = module.shift
    return inputs * buffer


NETWORKS = {
    # A weight in another place than in its own layer.
    "transposed weight": (around(lambda m, x: x @ m.layer.weight.T, layer=layer), r"module '2.layer'.*used by __get__"),
    "scaled weight": (
        around(lambda m, x: functional.linear(x, m.layer.weight * 2), layer=layer),
        r"module '2.layer'.*shape \(4, 4\) is used by mul",
    ),
    "tied to its transpose": (
        around(lambda m, x: functional.linear(m.layer(x), m.layer.weight.T), layer=layer),
        r"module '2.layer'.*used by __get__",
    ),
    "weight in einsum": (
        around(lambda m, x: torch.einsum("bi,ji->bj", x, m.layer.weight), layer=layer),
        r"module '2.layer'.*used by einsum",
    ),
    "weight penalty in the network": (
        around(lambda m, x: m.layer(x) + m.layer.weight.square().sum(), layer=layer),
        r"module '2.layer'.*used by square",
    ),
    "value of a weight": (
        around(lambda m, x: m.layer(x) * m.scale.item(), layer=layer, scale=lambda: nn.Parameter(torch.ones(()))),
        r"module '2'.*used by item",
    ),
    "weight norm": (
        lambda: nn.Sequential(nn.Linear(4, 4), parametrizations.weight_norm(nn.Linear(4, 3))),
        r"module '1.parametrizations.weight'.*_weight_norm",
    ),
    "spectral norm": (
        lambda: nn.Sequential(nn.Linear(4, 4), parametrizations.spectral_norm(nn.Linear(4, 3))),
        r"module '1.parametrizations.weight'",
    ),
    "added parameter": (around(lambda m, x: x + m.shift, shift=vector), r"module '2'.*shape \(4,\) is used by add"),
    "parameter in a list": (
        around(
            lambda m, x: torch.cat([x[:, :3], m.shift.expand(len(x), 1)], 1), shift=lambda: nn.Parameter(torch.ones(1))
        ),
        r"module '2'.*used by expand",
    ),
    "parameter written into a tensor": (around(filled, shift=vector), r"module '2'.*used by __setitem__"),
    "parameter through a linear map": (
        around(lambda m, x: x + functional.linear(m.shift[None], torch.eye(4).to(x)), shift=vector),
        r"module '2'.*used by __getitem__",
    ),
    "parameter as the input of a linear map": (
        around(lambda m, x: x + m.layer(m.shift), layer=layer, shift=lambda: nn.Parameter(torch.randn(3, 4))),
        r"module '2': its parameter is the input of linear",
    ),
    "parameter as the input of a convolution": (
        around(
            lambda m, x: x + functional.conv1d(m.shift, torch.ones(1, 1, 1).to(x)),
            shift=lambda: nn.Parameter(torch.randn(1, 4)),
        ),
        r"module '2': its parameter is the input of conv1d",
    ),
    "parameter as the input of a normalisation": (
        around(lambda m, x: x + functional.layer_norm(m.shift, (4,)), shift=vector),
        r"module '2': its parameter is the input of layer_norm",
    ),
    "one weight in layers with other biases": (
        weight_shared_by_layers_with_biases_of_their_own,
        r"module '0': it shares a parameter with '2'",
    ),
    "one parameter as weight and bias": (
        one_parameter_as_weight_and_bias,
        r"module '1': one parameter is its weight and",
    ),
    # Layers that are not known.
    "multi-head attention": (
        around(attention_of, attention=lambda: nn.MultiheadAttention(4, 2, batch_first=True)),
        r"module '2.attention'.*multi_head_attention_forward",
    ),
    "long short-term memory": (
        around(lambda m, x: m.part(x[:, None])[0][:, 0], part=lambda: nn.LSTM(4, 4, batch_first=True)),
        r"module '2.part'.*used by lstm",
    ),
    "memory cell": (around(lambda m, x: m.part(x)[0], part=lambda: nn.LSTMCell(4, 4)), r"module '2.part'.*lstm_cell"),
    "bilinear": (around(lambda m, x: m.part(x, x), part=lambda: nn.Bilinear(4, 4, 4)), r"module '2.part'.*bilinear"),
    "embedding": (
        lambda: nn.Sequential(
            Function(lambda _, x: (x > 0).long()), nn.Embedding(2, 3), nn.Flatten(), nn.Linear(12, 3)
        ),
        r"module '1'.*used by embedding",
    ),
    "root mean square normalisation": (between(lambda: nn.RMSNorm(4)), r"module '1'.*used by rms_norm"),
    # What is no function of one sample.
    "batch normalisation in training": (between(lambda: nn.BatchNorm1d(4)), r"module '1': batch_norm in training mode"),
    "batch normalisation without statistics": (
        lambda: between(lambda: nn.BatchNorm1d(4, track_running_stats=False))().eval(),
        r"module '1': batch_norm.* without running statistics",
    ),
    "dropout in training": (between(lambda: nn.Dropout(0.5)), r"module '1': dropout in training mode"),
    "alpha dropout in training": (between(lambda: nn.AlphaDropout(0.5)), r"module '1': alpha_dropout in training mode"),
    # What is no function at all.
    "weight changed by its data": (
        around(lambda m, x: (m.layer.weight.data.mul_(1.01), m.layer(x))[1], layer=layer),
        r"module '2.layer'.*used by __get__",
    ),
    "weight changed by an alias": (between(Alias), r"module '1.layer': its parameters change in the forward pass"),
    "a counter": (between(Counting), r"differs from double backward|another output"),
    "every second call": (between(lambda: Counting(2)), r"differs from double backward|another output"),
    "every third call": (between(lambda: Counting(3)), r"differs from double backward|another output"),
    "noise": (
        around(lambda m, x: m.layer(x) + 1e-3 * torch.randn_like(x), layer=layer),
        r"differs from double backward|another output",
    ),
    "random rectifier": (between(nn.RReLU), r"differs from double backward|another output"),
    # Shapes.
    "samples folded away": (
        around(lambda m, x: m.layer(x.reshape(-1, 2)).reshape(len(x), 4), layer=lambda: nn.Linear(2, 2)),
        r"module '2.layer': its input has shape \(6, 2\); its first dimension has to be the batch of 3 samples",
    ),
    "tuple": (lambda: Function(lambda m, x: (m.layer(x), x), layer=nn.Linear(4, 3)), r"the model's output is tuple"),
    "dictionary": (lambda: Function(lambda m, x: {"z": m.layer(x)}, layer=nn.Linear(4, 3)), r"output is dict"),
    "number": (lambda: Function(lambda m, x: m.layer(x).sum(), layer=nn.Linear(4, 3)), r"output is \(\)"),
    # Derivatives.
    "linear map in a function of its own": (
        around(lambda m, x: HiddenLinear.apply(x, m.layer.weight), layer=layer),
        r"differs from double backward",
    ),
    "function that is differentiable once": (
        around(lambda m, x: OnceDifferentiable.apply(m.layer(x)), layer=layer),
        r"differs from double backward|no second derivative here",
    ),
    "distance": (
        around(lambda m, x: torch.cdist(m.layer(x)[:, None], x[:, None])[:, 0] + x, layer=layer),
        r"no second derivative here.*_cdist_backward",
    ),
    "root of zero": (
        around(lambda m, x: m.layer(x) + (m.layer(x) * 0).abs().sqrt(), layer=layer),
        r"entries that are not finite: the model or the loss has no second derivative here",
    ),
    "operation in place": (around(in_place, layer=layer), r"changes a tensor in place.*out of place"),
    "checkpoint of a layer": (
        around(lambda m, x: checkpoint(m.layer, x, use_reentrant=False), layer=layer),
        r"no second derivative here.*checkpoint",
    ),
    "reentrant checkpoint": (
        around(lambda m, x: checkpoint(m.layer, x, use_reentrant=True), layer=layer),
        r"checkpoint",
    ),
    "half precision inside": (
        around(lambda m, x: m.layer(x).bfloat16().tanh().to(x), layer=layer),
        r"differs from double backward",
    ),
}


COUPLED = {
    "minus the mean": lambda x: x - x.mean(0),
    "softmax over samples": lambda x: x.softmax(0),
    "a running sum": lambda x: x.cumsum(0),
    "the neighbour": lambda x: x + x.roll(1, 0),
    "the norm of the batch": lambda x: x / x.norm(),
}


@pytest.mark.filterwarnings("ignore:None of the inputs have requires_grad")
@pytest.mark.parametrize(("make", "message"), NETWORKS.values(), ids=NETWORKS)
def test_a_network_that_is_not_described_is_refused_by_name(make, message):
    with pytest.raises(CapabilityError, match=f"(?s){message}"):
        problem(make).exact()


@pytest.mark.filterwarnings("ignore:None of the inputs have requires_grad")
@pytest.mark.parametrize(("make", "message"), NETWORKS.values(), ids=NETWORKS)
def test_a_network_that_is_not_described_is_refused_for_samples_too(make, message):
    with pytest.raises(CapabilityError):
        problem(make).per_sample()


@pytest.mark.parametrize(("coupling", "curvature"), KINDS[1:])
@pytest.mark.filterwarnings("ignore:None of the inputs have requires_grad")
@pytest.mark.parametrize(("make", "message"), NETWORKS.values(), ids=NETWORKS)
def test_no_option_gives_a_wrong_matrix(make, message, coupling, curvature):
    # A diagonal block, or a Gauss-Newton matrix, can be right where the Hessian is refused.
    given = problem(make)
    try:
        found = given.exact(coupling, curvature)
    except CapabilityError:
        return
    assert relative_error(found.dense(), given.truth(coupling, curvature)) < 1e-9


@pytest.mark.parametrize("maker", CLASSES)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
@pytest.mark.parametrize("batch", [2, 3, 64])
@pytest.mark.parametrize("way", COUPLED)
def test_a_module_that_couples_samples_is_refused(way, batch, dtype, maker):
    given = problem(around(lambda _, x: COUPLED[way](x)), batch=batch, dtype=dtype)
    with pytest.raises(CapabilityError, match=r"differs from double backward|another output when it is alone"):
        maker(*given.arguments)


@pytest.mark.parametrize("way", ["minus the mean", "softmax over samples", "the neighbour", "the norm of the batch"])
def test_the_module_that_couples_samples_is_named(way):
    with pytest.raises(CapabilityError, match="module '2' gives a sample another output when it is alone"):
        problem(around(lambda _, x: COUPLED[way](x))).exact()


@pytest.mark.parametrize("make", [torch.jit.script, lambda model: torch.jit.trace(model, torch.randn(3, 4).double())])
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_scripted_network_is_refused(make):
    given = problem()
    given.model = make(given.model)
    with pytest.raises(CapabilityError, match="compiled or scripted"):
        given.exact()


# What looks strange and is right.


def generated_bias(module, inputs):
    return functional.linear(inputs, module.layer.weight, module.other(inputs)[0])


RIGHT = {
    "keyword arguments": around(
        lambda m, x: functional.linear(bias=m.layer.bias, weight=m.layer.weight, input=x), layer=layer
    ),
    "keyword arguments of a convolution": around(
        lambda m, x: functional.conv1d(weight=m.part.weight, input=x[:, None], bias=m.part.bias)[:, 0, :4],
        part=lambda: nn.Conv1d(1, 2, 1),
    ),
    "function with a second derivative of its own": around(lambda m, x: functional.mish(m.layer(x)), layer=layer),
    "checkpoint of an activation": around(
        lambda m, x: checkpoint(torch.sin, m.layer(x), use_reentrant=False), layer=layer
    ),
    "sorted": around(lambda m, x: m.layer(x).sort(1).values, layer=layer),
    "product of two layers": around(lambda m, x: m.layer(x) * m.layer(x).exp(), layer=layer),
    "normalised": around(lambda m, x: functional.normalize(m.layer(x)), layer=layer),
    "normalisation used twice": around(lambda m, x: m.norm(m.norm(x).exp()), norm=lambda: nn.LayerNorm(4)),
    "rectifier used twice": around(lambda m, x: m.part(m.part(x)), part=nn.PReLU),
    "shape of a weight": around(lambda m, x: m.layer(x) / m.layer.weight.shape[0] ** 0.5, layer=layer),
}


@pytest.mark.parametrize("make", RIGHT.values(), ids=RIGHT)
def test_what_can_be_described_is_right(make):
    given = problem(make)
    assert relative_error(given.exact().dense(), given.hessian) < 1e-12
    assert relative_error(given.exact(curvature="ggn").dense(), given.gauss_newton) < 1e-12
    expected = torch.stack([sample.exact().eigenvalues() for sample in given.samples])
    assert relative_error(given.per_sample().eigenvalues(), expected) < 1e-12


def test_a_bias_that_the_network_computes_keeps_its_derivative():
    given = problem(around(generated_bias, layer=layer, other=layer), batch=1)
    assert relative_error(given.exact().dense(), given.hessian) < 1e-12


# Input that makes no sense.


def changed(**parts):
    given = problem()
    for name, part in parts.items():
        setattr(given, name, part)
    return given


def with_entry(value, name):
    given = problem("unused parameters")
    with torch.no_grad():
        given.model.get_parameter(name).view(-1)[0] = value
    return given


def all_but_the_unused_frozen():
    model = WithUnused().double()
    model.first.requires_grad_(False)
    model.second.requires_grad_(False)
    return model


INPUTS = problem().inputs
INPUT = {
    "loss of each sample": (
        lambda: changed(loss=lambda z, y: functional.cross_entropy(z, y, reduction="none")),
        r"the loss is \(3,\); it has to be 0-dimensional: use the reduction",
    ),
    "loss of one entry": (lambda: changed(loss=lambda z, y: functional.cross_entropy(z, y)[None]), r"loss is \(1,\)"),
    "loss that is no tensor": (lambda: changed(loss=lambda z, y: 1.0), r"the loss is float"),
    "loss not a number": (lambda: changed(loss=lambda z, y: z.sum() * float("nan")), r"the loss is nan"),
    "infinite loss": (lambda: changed(loss=lambda z, y: z.sum() / 0), r"the loss is -?inf"),
    "inputs not a number": (lambda: changed(inputs=INPUTS * float("nan")), r"the loss is nan"),
    "loss of one argument": (lambda: changed(loss=lambda z: z.sum()), r"the loss refuses outputs.*positional argument"),
    "parameter not a number": (lambda: with_entry(float("nan"), "first.weight"), r"first.weight: .*not finite"),
    "infinite parameter": (lambda: with_entry(float("inf"), "second.bias"), r"second.bias: .*not finite"),
    "unused parameter not a number": (lambda: with_entry(float("nan"), "number"), r"number: .*not finite"),
    "label too large": (lambda: changed(targets=torch.tensor([0, 7, 1])), r"values 0 … 7: Target 7 is out of bounds"),
    "negative label": (lambda: changed(targets=torch.tensor([0, -1, 1])), r"Target -1 is out of bounds"),
    "labels of another type": (lambda: changed(targets=labels(3).int()), r"the loss refuses .*got Int"),
    "targets in a list": (lambda: changed(targets=[0, 1, 2]), r"the targets are a list"),
    "target without a batch": (lambda: changed(targets=torch.tensor(1)), r"3 inputs and 0-dimensional targets"),
    "too few targets": (lambda: changed(targets=labels(2)), r"3 inputs and 2 targets; give one target per input"),
    "empty batch": (lambda: changed(inputs=INPUTS[:0], targets=labels(0)), r"\(0, 4\); give at least one sample"),
    "input without a shape": (lambda: changed(inputs=INPUTS[0, 0]), r"shape \(\); give at least one sample"),
    "inputs in a list": (lambda: changed(inputs=INPUTS.tolist()), r"the inputs are a list; give a tensor"),
    "inputs of numpy": (lambda: changed(inputs=INPUTS.numpy()), r"the inputs are a ndarray; give a tensor"),
    "inputs of another type": (lambda: changed(inputs=INPUTS.float()), r"the inputs: is of torch.float32"),
    "whole numbers": (lambda: changed(inputs=INPUTS.long()), r"the model refuses inputs.*torch.int64"),
    "too few features": (lambda: changed(inputs=INPUTS[:, :3]), r"the model refuses inputs of shape \(3, 3\)"),
    "model without parameters": (lambda: changed(model=nn.Flatten()), r"no trainable parameters"),
    "frozen model": (lambda: changed(model=dense(nn.Tanh).double().requires_grad_(False)), r"no trainable parameters"),
    "half precision": (
        lambda: changed(model=nn.Linear(4, 3).half(), inputs=INPUTS.half()),
        r"of torch.float16; use float32 or float64",
    ),
    "bfloat16": (
        lambda: changed(model=nn.Linear(4, 3).bfloat16(), inputs=INPUTS.bfloat16()),
        r"of torch.bfloat16; use float32 or float64",
    ),
    "complex": (lambda: changed(model=nn.Linear(4, 3).to(torch.complex128)), r"of torch.complex128; use float32"),
    "mixed types": (
        lambda: changed(model=nn.Sequential(nn.Linear(4, 4).double(), nn.Linear(4, 3))),
        r"1.weight: is of torch.float32 and other parameters of torch.float64",
    ),
    "parameters without a shape yet": (
        lambda: changed(model=nn.Sequential(nn.Linear(4, 4).double(), nn.LazyLinear(3).double())),
        r"1.weight: is not initialised; run the model once",
    ),
}


@pytest.mark.parametrize("maker", CLASSES)
@pytest.mark.parametrize(("make", "message"), INPUT.values(), ids=INPUT)
@pytest.mark.filterwarnings("ignore:Lazy modules", "ignore:Complex modules")
def test_input_that_makes_no_sense_is_refused_by_name(make, message, maker):
    with pytest.raises(InputError, match=f"(?s){message}"):
        maker(*make().arguments)


@pytest.mark.parametrize("maker", CLASSES)
def test_one_sample_without_a_batch_is_refused(maker):
    with pytest.raises(CapabilityError, match=r"module '0': its input has shape \(4,\)"):
        maker(*changed(inputs=INPUTS[0], targets=labels(4)).arguments)


@pytest.mark.parametrize("maker", CLASSES)
def test_a_model_that_uses_no_trainable_parameter_is_refused(maker):
    with pytest.raises(CapabilityError, match="the model uses none of them"):
        maker(*changed(model=all_but_the_unused_frozen()).arguments)


@pytest.mark.parametrize("maker", CLASSES)
def test_a_loss_without_a_derivative_is_refused(maker):
    with pytest.raises(CapabilityError, match="the loss depends on no trainable parameter"):
        maker(*changed(loss=lambda z, y: functional.cross_entropy(z.detach(), y)).arguments)


LOSSES = {
    "centred outputs": lambda z, y: functional.cross_entropy(z - z.mean(0), y),
    "square of a mean": lambda z, y: functional.cross_entropy(z, y) ** 2,
    "soft maximum over samples": lambda z, y: functional.cross_entropy(z, y, reduction="none").logsumexp(0),
    "noise": lambda z, y: functional.cross_entropy(z + 0.01 * torch.randn_like(z), y),
}


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
def test_a_loss_that_couples_samples_is_refused(loss, dtype):
    given = problem(dtype=dtype)
    given.loss = loss
    with pytest.raises(CapabilityError, match="differs from double backward"):
        given.exact()


@pytest.mark.parametrize("maker", CLASSES)
@pytest.mark.parametrize("coupling", ["full", "layerwise"])
def test_a_loss_that_penalises_weights_is_refused(maker, coupling):
    given = problem()
    given.loss = lambda z, y: functional.cross_entropy(z, y) + given.model[0].weight.square().sum()
    with pytest.raises(CapabilityError, match="differs from double backward"):
        maker(*given.arguments, coupling)


@pytest.mark.parametrize("maker", CLASSES)
@pytest.mark.parametrize("coupling", ["full", "layerwise"])
def test_a_loss_that_uses_a_parameter_which_the_network_does_not_is_refused(maker, coupling):
    given = problem("unused parameters")
    given.loss = lambda z, y: functional.cross_entropy(z, y) + given.model.number.square().sum()
    with pytest.raises(CapabilityError, match="differs from double backward"):
        maker(*given.arguments, coupling)


@pytest.mark.parametrize("maker", CLASSES)
def test_inference_mode_is_refused(maker):
    with torch.inference_mode(), pytest.raises(InputError, match=r"use torch.no_grad\(\) instead"):
        maker(*problem().arguments)


@pytest.mark.parametrize("maker", CLASSES)
def test_autocast_is_refused(maker):
    with torch.autocast("cpu", dtype=torch.bfloat16), pytest.raises(InputError, match="autocast is on"):
        maker(*problem(dtype=torch.float32).arguments)


def test_autocast_inside_of_the_model_is_refused():
    def rounded(module, inputs):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return module.layer(inputs).float()

    with pytest.raises(CapabilityError, match=r"module '2.layer': a linear map of torch.float32 returns"):
        problem(around(rounded, layer=layer), dtype=torch.float32).exact()


@pytest.mark.parametrize("maker", CLASSES)
@pytest.mark.parametrize("name", ["coupling", "curvature"])
@pytest.mark.parametrize("value", ["", "Full", "fisher", None])
def test_an_unknown_option_is_refused_with_the_known_ones(maker, name, value):
    with pytest.raises(ConfigurationError, match=rf"{name} is .*; it must be \w+ or \w+"):
        maker(*problem().arguments, **{name: value})


@pytest.mark.parametrize("count", [0, -1, 40])
def test_a_number_of_eigenvectors_that_there_are_not_is_refused(count):
    with pytest.raises(InputError, match=rf"k is {count}; it must be from 1 to the 33 coordinates"):
        problem().exact().eigenvectors(count)


@pytest.mark.parametrize("shape", [(38,), (40,), (1, 39), ()], ids=str)
def test_a_vector_of_another_shape_is_refused(shape):
    vector = torch.zeros(shape, dtype=torch.float64)
    with pytest.raises(InputError, match=r"the trainable parameters need \(39,\)"):
        problem().exact().matvec(vector)
    with pytest.raises(InputError, match=r"the trainable parameters need \(39,\)"):
        problem().exact().newton_direction(0.1, gradient=vector)


def test_a_vector_of_another_type_is_refused():
    with pytest.raises(InputError, match=r"the vector is of torch.float32 .* and the Hessian of torch.float64"):
        problem().exact().matvec(torch.zeros(39))


def test_a_layerwise_certificate_is_refused():
    with pytest.raises(CapabilityError, match="certify coupling='full'"):
        problem().exact("layerwise").certificate()


def test_targets_of_another_float_type_are_taken():
    given = problem("tanh", "squared error")
    rounded = Problem(given.model, given.loss, given.inputs, numbers(3).float())
    assert relative_error(rounded.exact().dense(), rounded.hessian) < 1e-12


def test_a_network_that_is_too_large_for_a_matrix_says_so(monkeypatch):
    monkeypatch.setattr("secondorder.curvature.exact_hessian.LARGEST_RANK", 32)
    hessian = problem().exact()
    with pytest.raises(CapabilityError, match=r"33 coordinates.* up to 32"):
        hessian.eigenvalues()
    assert hessian.matvec(torch.ones(39, dtype=torch.float64)).isfinite().all()


def test_a_module_is_named_as_in_the_model():
    given = problem(lambda: nn.Sequential(nn.Sequential(nn.Linear(4, 4), nn.Tanh()), nn.Linear(4, 3)))
    assert [layer.name for layer in take_apart(given.model, given.inputs).layers] == ["0.0", "1"]
