"""What is not known to be analytic is refused by name; nothing is silently wrong."""

import pytest
import torch
from analytic_cases import METHODS, Applied, bent, products, relative_error
from torch import nn
from torch.nn import functional

from secondorder.analytic.tracing import record
from secondorder.errors import CapabilityError


class OwnSine(torch.autograd.Function):
    """A sine whose derivative only autograd knows."""

    @staticmethod
    def forward(context, inputs):
        context.save_for_backward(inputs)
        return inputs.sin()

    @staticmethod
    def backward(context, gradient):
        return gradient * context.saved_tensors[0].cos()


class OwnIdentity(torch.autograd.Function):
    """Passes its input on without any function of torch."""

    @staticmethod
    def forward(context, inputs):
        return inputs

    @staticmethod
    def backward(context, gradient):
        return -gradient


def without_gradients(x):
    with torch.no_grad():
        return x.sin()


def into_a_constant(x):
    target = torch.zeros(3, 4, dtype=torch.float64)
    target[0] = x[0]
    return target


def changed_view(x):
    y = 2 * x
    z = y.view(-1)
    functional.relu(y, inplace=True)
    return z


def changed_constant(x):
    c = torch.ones(4, dtype=torch.float64)
    y = x * c
    c += 1
    return y


def view_between_changes(x):
    y = 2 * x
    y.neg_()
    z = y.view(-1)
    y.mul_(2)
    return z


REFUSED = {
    "matrix norm": (lambda x: torch.linalg.norm(x, ord=2), "norm"),
    "diagonal of matrices": (lambda x: torch.linalg.diagonal(x.reshape(3, 2, 2)), "diagonal"),
    "division that rounds": (lambda x: torch.div(x, 0.1, rounding_mode="floor"), "rounding_mode 'floor'"),
    "maximum of equals": (lambda x: (0 * x).max(), "equal extremes"),
    "minimum of equals": (lambda x: (0 * x).min(), "equal extremes"),
    "view between changes in place": (view_between_changes, "inplace=False"),
    "an output that is given": (lambda x: torch.sum(x, 0, out=torch.empty(4, dtype=torch.float64)), "'out'"),
    "softmax in another dtype": (lambda x: x.softmax(1, dtype=torch.float32), "dtype"),
    "sort": (lambda x: x.sort()[0], "sort"),
    "topk": (lambda x: x.topk(2)[0], "topk"),
    "median": (lambda x: x.median(), "median"),
    "cumprod": (lambda x: x.cumprod(0), "cumprod"),
    "norm of order 1": (lambda x: x.norm(1), "norm"),
    "norm of order inf": (lambda x: torch.linalg.vector_norm(x, float("inf")), "norm"),
    "comparison": (lambda x: torch.where(x > 0, x, 0.0), "gt"),
    "sign": (lambda x: x.sign(), "sign"),
    "argmax": (lambda x: x.argmax(), "argmax"),
    "conj": (lambda x: x.conj(), "conj"),
    "complex": (lambda x: torch.complex(x, x).abs(), "complex"),
    "fft": (lambda x: torch.fft.fft(x).real, "fft"),
    "exponent that is a tensor": (lambda x: x ** x.new_tensor(2.0), "pow"),
    "clamp by a tensor": (lambda x: x.clamp(min=x.new_zeros(4)), "clamp"),
    "maximum of two": (lambda x: torch.maximum(x, -x), "maximum"),
    "solve": (lambda x: torch.linalg.solve(x @ x.T, x), "solve"),
    "detach": (lambda x: x.detach() * x, "detach"),
    "data": (lambda x: x.data * x, "data"),
    "item": (lambda x: x * x.sum().item(), "item"),
    "numpy": (lambda x: x * torch.from_numpy(x.numpy()), "numpy"),
    "tolist": (lambda x: x * x.tolist()[0][0], "tolist"),
    "bool": (lambda x: x if x.sum() > 0 else -x, "gt"),
    "float": (lambda x: float(x.sum()) * x, "__float__"),
    "another dtype": (lambda x: x.float(), "float32"),
    "sum in another dtype": (lambda x: x.sum(dtype=torch.float32), "float32"),
    "no_grad": (without_gradients, "no_grad"),
    "custom function of torch's functions": (OwnSine.apply, "custom autograd.Function"),
    "custom function without any": (lambda x: OwnIdentity.apply(x).sin(), "custom autograd.Function"),
    "writing into a constant": (into_a_constant, "__setitem__"),
    "in-place change of what a view shares": (changed_view, "inplace=False"),
    "in-place change of a constant": (changed_constant, "changed in place"),
    "copy of the values": (lambda x: x * torch.ones(1).new_tensor(x), "new_tensor"),
    "alpha dropout": (lambda x: functional.alpha_dropout(x, training=True), "alpha_dropout"),
    "legacy reduction": (lambda x: functional.mse_loss(x, x.new_ones(3, 4), size_average=False), "size_average"),
    "gumbel_softmax": (functional.gumbel_softmax, "gumbel_softmax"),
}


class Named(nn.Module):
    """A network whose module ``inner.odd`` applies a function to its parameter."""

    def __init__(self, function):
        super().__init__()
        self.inner = nn.Module()
        self.inner.odd = Applied(function, (3, 4))

    def forward(self):
        return self.inner.odd()


@pytest.mark.filterwarnings("ignore:size_average")
@pytest.mark.parametrize(("function", "named"), REFUSED.values(), ids=REFUSED.keys())
def test_it_is_refused_by_name(function, named):
    torch.manual_seed(0)
    model = Named(function)
    with pytest.raises(CapabilityError) as refused:
        record(model, list(model.parameters()), lambda: bent(model()))
    assert named in str(refused.value)


@pytest.mark.parametrize(
    "name", ["sort", "detach", "no_grad", "norm of order 1", "in-place change of what a view shares"]
)
def test_the_module_is_named(name):
    model = Named(REFUSED[name][0])
    with pytest.raises(CapabilityError, match=r"'inner\.odd'"):
        record(model, list(model.parameters()), lambda: bent(model()))


def test_in_the_loss_it_is_said_to_be_there():
    model = Applied(lambda x: x.sin(), (3, 4))
    with pytest.raises(CapabilityError, match=r"^the loss: .*sort"):
        record(model, list(model.parameters()), lambda: model().sort()[0].sum())


def test_after_a_refusal_modules_run_as_before():
    model = Named(REFUSED["sort"][0])
    with pytest.raises(CapabilityError):
        record(model, list(model.parameters()), lambda: bent(model()))
    assert torch.equal(model(), model.inner.odd.arguments[0].sort()[0])


ALLOWED = {
    "shape": lambda x: x.reshape(x.shape[1], -1) * x.size(0),
    "dtype and device": lambda x: x * torch.ones(4, dtype=x.dtype, device=x.device),
    "the same dtype": lambda x: x.to(torch.float64).double().sin(),
    "len and dim": lambda x: x / len(x) + x.dim(),
    "question for gradients": lambda x: x.sin() if x.requires_grad else x,
    "constants of a shape given by name": lambda x: x * torch.ones_like(input=x),
    "a change in place by name": lambda x: functional.relu(input=2 * x, inplace=True) * x,
    "constants of its shape": lambda x: x * torch.ones_like(x) + torch.zeros_like(x),
}


@pytest.mark.parametrize("function", ALLOWED.values(), ids=ALLOWED.keys())
def test_what_does_not_look_at_values_is_allowed(function):
    torch.manual_seed(0)
    module = Applied(function, (3, 4))
    truth, found = products(module, lambda: bent(module()))
    for method in METHODS:
        assert relative_error(found[method], truth) < 1e-12
