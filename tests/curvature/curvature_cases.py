"""Networks, losses and data for the tests of exact curvature, and dense matrices in float64 to compare with."""

import copy
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils import vector_to_parameters

from secondorder.curvature import ExactHessian, PerSampleHessians

CLASSES = 3


class Residual(nn.Module):
    """Adds what a part returns to what it was given."""

    def __init__(self, *parts):
        super().__init__()
        self.part = nn.Sequential(*parts)

    def forward(self, inputs):
        return inputs + self.part(inputs)


class Mean(nn.Module):
    """The mean over the second dimension."""

    def forward(self, inputs):
        return inputs.mean(1)


class Elman(nn.Module):
    """A recurrent network: two linear layers, each used at every step of a sequence."""

    def __init__(self, features, hidden):
        super().__init__()
        self.given, self.kept = nn.Linear(features, hidden), nn.Linear(hidden, hidden, bias=False)

    def forward(self, inputs):
        state = torch.zeros_like(inputs[:, 0, :1]).expand(-1, self.kept.in_features)
        for step in inputs.unbind(1):
            state = torch.tanh(self.given(step) + self.kept(state))
        return state


class Attention(nn.Module):
    """One head of softmax attention over a sequence."""

    def __init__(self, features):
        super().__init__()
        self.query, self.key, self.value = (nn.Linear(features, features, bias=False) for _ in range(3))

    def forward(self, inputs):
        scores = self.query(inputs) @ self.key(inputs).mT
        return (scores.softmax(-1) @ self.value(inputs)).mean(1)


class Gated(nn.Module):
    """The product of two linear layers."""

    def __init__(self, inputs, outputs):
        super().__init__()
        self.value, self.gate = nn.Linear(inputs, outputs), nn.Linear(inputs, outputs)

    def forward(self, inputs):
        return self.value(inputs) * self.gate(inputs).sigmoid()


class WithUnused(nn.Module):
    """A perceptron with a layer and a parameter between its layers that its output does not depend on."""

    def __init__(self):
        super().__init__()
        self.first = nn.Linear(4, 3)
        self.unused = nn.Linear(2, 2)
        self.number = nn.Parameter(torch.ones(2))
        self.second = nn.Linear(3, CLASSES)

    def forward(self, inputs):
        return self.second(self.first(inputs).tanh())


class OutOfOrder(nn.Module):
    """Layers are used in another order than they are registered in."""

    def __init__(self):
        super().__init__()
        self.last, self.norm, self.first = nn.Linear(3, CLASSES), nn.LayerNorm(3), nn.Linear(4, 3)

    def forward(self, inputs):
        return self.last(self.norm(self.first(inputs)).tanh())


def dense(activation, width=3):
    """A perceptron with two hidden layers."""
    return nn.Sequential(nn.Linear(4, width), activation(), nn.Linear(width, 3), activation(), nn.Linear(3, CLASSES))


def frozen(*names):
    """A perceptron of which some parameters do not require gradients."""
    model = dense(nn.Tanh)
    for name in names:
        model.get_parameter(name).requires_grad_(False)
    return model


def called_twice():
    """A linear layer that is called twice, with an activation between."""
    layer = nn.Linear(4, 4)
    return nn.Sequential(layer, nn.Tanh(), layer, nn.Tanh(), nn.Linear(4, CLASSES))


def tied():
    """Two linear layers that share one weight and have no bias."""
    model = nn.Sequential(nn.Linear(4, 4, bias=False), nn.Tanh(), nn.Linear(4, 4, bias=False), nn.Linear(4, CLASSES))
    model[2].weight = model[0].weight
    return model


def normalized(layer):
    """A perceptron with a normalisation whose own numbers are not the initial ones."""
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
        for name, buffer in layer.named_buffers():
            if buffer.is_floating_point():
                buffer.add_(torch.rand_like(buffer) * (0.5 if name.endswith("var") else 0.2))
    return nn.Sequential(nn.Linear(4, 4), layer, nn.Tanh(), nn.Linear(4, CLASSES))


def head(features):
    """The linear layer behind convolutions."""
    return nn.Sequential(nn.Flatten(), nn.Linear(features, CLASSES))


def frozen_kernel():
    """A convolution of which the bias alone is trained."""
    model = nn.Sequential(nn.Conv2d(1, 2, 2), nn.Tanh(), head(12))
    model[0].weight.requires_grad_(False)
    return model


def convolution_called_twice():
    """A convolution that is called twice, with an activation between."""
    layer = nn.Conv2d(1, 1, 3, padding=1)
    return nn.Sequential(layer, nn.Tanh(), layer, nn.Tanh(), head(6))


ACTIVATIONS = {
    "relu": nn.ReLU,
    "relu in place": lambda: nn.ReLU(inplace=True),
    "leaky relu": nn.LeakyReLU,
    "prelu": nn.PReLU,
    "prelu per channel": lambda: nn.PReLU(3),
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
    "gelu": nn.GELU,
    "gelu by tanh": lambda: nn.GELU("tanh"),
    "silu": nn.SiLU,
    "softplus": nn.Softplus,
    "elu": nn.ELU,
    "softmax": lambda: nn.Softmax(dim=1),
    "identity": nn.Identity,
}

# name: (function that makes it, shape of one sample)
MODELS = {
    "one layer": (lambda: nn.Linear(4, CLASSES), (4,)),
    "one layer without bias": (lambda: nn.Linear(4, CLASSES, bias=False), (4,)),
    **{name: (lambda activation=activation: dense(activation), (4,)) for name, activation in ACTIVATIONS.items()},
    "no bias": (
        lambda: nn.Sequential(nn.Linear(4, 3, bias=False), nn.Tanh(), nn.Linear(3, CLASSES, bias=False)),
        (4,),
    ),
    "dropout in evaluation": (lambda: nn.Sequential(dense(nn.Tanh), nn.Dropout(0.5)).eval(), (4,)),
    "residual": (
        lambda: nn.Sequential(Residual(nn.Linear(4, 4), nn.GELU(), nn.Linear(4, 4)), nn.Linear(4, CLASSES)),
        (4,),
    ),
    "layer called twice": (called_twice, (4,)),
    "layer called twice with itself alone": (lambda: nn.Sequential(*[nn.Linear(CLASSES, CLASSES)] * 2), (CLASSES,)),
    "two layers share a weight": (tied, (4,)),
    "sequence": (lambda: nn.Sequential(nn.Linear(4, 5), nn.Tanh(), Mean(), nn.Linear(5, CLASSES)), (2, 4)),
    "long sequence": (lambda: nn.Sequential(nn.Linear(2, 2), nn.Tanh(), Mean(), nn.Linear(2, CLASSES)), (7, 2)),
    "sequence of images": (
        lambda: nn.Sequential(nn.Linear(2, 2), nn.Tanh(), nn.Flatten(), nn.Linear(12, CLASSES)),
        (2, 3, 2),
    ),
    "recurrent": (lambda: nn.Sequential(Elman(2, 4), nn.Linear(4, CLASSES)), (3, 2)),
    "attention": (lambda: nn.Sequential(nn.Linear(2, 4), Attention(4), nn.Linear(4, CLASSES)), (3, 2)),
    "gated": (lambda: nn.Sequential(Gated(4, 3), nn.Tanh(), Gated(3, CLASSES)), (4,)),
    "frozen weight": (lambda: frozen("2.weight"), (4,)),
    "frozen first weight": (lambda: frozen("0.weight"), (4,)),
    "frozen bias": (lambda: frozen("2.bias"), (4,)),
    "frozen layer": (lambda: frozen("2.weight", "2.bias"), (4,)),
    "frozen first layer": (lambda: frozen("0.weight", "0.bias"), (4,)),
    "one trainable bias": (lambda: frozen("0.weight", "0.bias", "2.weight", "4.weight", "4.bias"), (4,)),
    "unused parameters": (WithUnused, (4,)),
    "used in another order": (OutOfOrder, (4,)),
    "max pooling": (
        lambda: nn.Sequential(nn.Conv2d(1, 2, 2), nn.Tanh(), nn.MaxPool2d(2), head(2)),
        (1, 3, 4),
    ),
    "average pooling": (
        lambda: nn.Sequential(nn.Conv2d(1, 2, 2), nn.ReLU(), nn.AvgPool2d(2), nn.Tanh(), head(2)),
        (1, 3, 4),
    ),
    "adaptive pooling": (
        lambda: nn.Sequential(nn.Conv2d(1, 3, 2), nn.SiLU(), nn.AdaptiveAvgPool2d(1), head(3)),
        (1, 3, 4),
    ),
    "two convolutions": (
        lambda: nn.Sequential(nn.Conv2d(1, 2, 2), nn.Tanh(), nn.Conv2d(2, 2, 2), nn.ReLU(), head(4)),
        (1, 3, 4),
    ),
    "convolution with stride, padding and dilation": (
        lambda: nn.Sequential(nn.Conv2d(2, 2, 2, stride=2, padding=1, dilation=2), nn.Tanh(), head(8)),
        (2, 4, 4),
    ),
    "convolution padded by reflection": (
        lambda: nn.Sequential(nn.Conv2d(1, 2, 3, padding=1, padding_mode="reflect"), nn.Tanh(), head(12)),
        (1, 2, 3),
    ),
    "convolution in groups": (
        lambda: nn.Sequential(nn.Conv2d(2, 4, 2, groups=2, bias=False), nn.Tanh(), head(8)),
        (2, 2, 3),
    ),
    "convolution of a line": (
        lambda: nn.Sequential(nn.Conv1d(2, 3, 2), nn.Tanh(), nn.MaxPool1d(2), head(6)),
        (2, 5),
    ),
    "convolution of a volume": (lambda: nn.Sequential(nn.Conv3d(1, 2, 2), nn.Tanh(), head(4)), (1, 2, 2, 3)),
    "transposed convolution": (
        lambda: nn.Sequential(nn.ConvTranspose2d(2, 2, 2, stride=2), nn.Tanh(), head(16)),
        (2, 1, 2),
    ),
    "transposed convolution of a line": (
        lambda: nn.Sequential(nn.ConvTranspose1d(2, 2, 2), nn.Tanh(), head(8)),
        (2, 3),
    ),
    "frozen kernel": (
        lambda: nn.Sequential(nn.Conv2d(1, 2, 2).requires_grad_(False), nn.Tanh(), head(12)),
        (1, 3, 4),
    ),
    "frozen kernel with a trained bias": (frozen_kernel, (1, 3, 4)),
    "convolution called twice": (convolution_called_twice, (1, 2, 3)),
    "layer normalisation": (lambda: normalized(nn.LayerNorm(4)), (4,)),
    "group normalisation": (
        lambda: nn.Sequential(nn.Conv2d(1, 4, 2), nn.GroupNorm(2, 4), nn.Tanh(), head(8)),
        (1, 2, 3),
    ),
    "batch normalisation in evaluation": (lambda: normalized(nn.BatchNorm1d(4)).eval(), (4,)),
    "batch normalisation of images in evaluation": (
        lambda: nn.Sequential(nn.Conv2d(1, 2, 2), nn.BatchNorm2d(2), nn.Tanh(), head(12)).eval(),
        (1, 3, 4),
    ),
}


def labels(batch):
    """Class labels."""
    return torch.arange(batch) % CLASSES


def numbers(batch):
    """Real targets, one per output."""
    return torch.randn(batch, CLASSES, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


CLASS_WEIGHTS = torch.tensor([0.2, 1.0, 3.0], dtype=torch.float64)


def cross_entropy(**options):
    """The cross-entropy with options; class weights are taken to the type of the outputs."""

    def loss(outputs, targets):
        moved = {k: v.to(outputs) if isinstance(v, torch.Tensor) else v for k, v in options.items()}
        return functional.cross_entropy(outputs, targets, **moved)

    return loss


# name: (loss, targets of a batch)
LOSSES = {
    "cross-entropy": (functional.cross_entropy, labels),
    "sum of cross-entropies": (cross_entropy(reduction="sum"), labels),
    "weighted cross-entropy": (cross_entropy(weight=CLASS_WEIGHTS), labels),
    "sum of weighted cross-entropies": (cross_entropy(weight=CLASS_WEIGHTS, reduction="sum"), labels),
    "cross-entropy with smoothed labels": (cross_entropy(label_smoothing=0.1), labels),
    "cross-entropy with soft targets": (functional.cross_entropy, lambda batch: numbers(batch).softmax(1)),
    "squared error": (functional.mse_loss, numbers),
    "sum of squared errors": (lambda outputs, targets: functional.mse_loss(outputs, targets, reduction="sum"), numbers),
    "binary cross-entropy": (functional.binary_cross_entropy_with_logits, lambda batch: numbers(batch).sigmoid()),
    "smooth absolute error": (functional.smooth_l1_loss, numbers),
    "huber": (functional.huber_loss, numbers),
    "log-cosh": (lambda outputs, targets: (outputs - targets).cosh().log().mean(), numbers),
    "linear": (lambda outputs, targets: (outputs * targets).sum(), numbers),
}


@dataclass
class Problem:
    """A network, a loss and a batch."""

    model: nn.Module
    loss: object
    inputs: torch.Tensor
    targets: torch.Tensor

    @property
    def arguments(self):
        """What the classes of the package are given."""
        return self.model, self.loss, self.inputs, self.targets

    @property
    def parameters(self):
        """The trainable parameters."""
        return [parameter for parameter in self.model.parameters() if parameter.requires_grad]

    def exact(self, *names, **options):
        """The Hessian of the batch."""
        return ExactHessian(*self.arguments, *names, **options)

    def per_sample(self, *names, **options):
        """The Hessians of the samples."""
        return PerSampleHessians(*self.arguments, *names, **options)

    @cached_property
    def samples(self):
        """The problems with one sample alone."""
        alone = zip(self.inputs.split(1), self.targets.split(1), strict=True)
        return [Problem(self.model, self.loss, inputs, targets) for inputs, targets in alone]

    @property
    def theta(self):
        """The vector of the trainable parameters."""
        return flat(self.parameters).detach()

    def at(self, theta):
        """The problem at other parameters."""
        model = copy.deepcopy(self.model)
        moved = Problem(model, self.loss, self.inputs, self.targets)
        vector_to_parameters(theta, moved.parameters)
        return moved

    @cached_property
    def gradient(self):
        """The gradient of the loss."""
        with torch.enable_grad():
            value = self.loss(self.model(self.inputs), self.targets)
            return flat(torch.autograd.grad(value, self.parameters, materialize_grads=True))

    @cached_property
    def hessian(self):
        """The dense Hessian, by a backward pass through the gradient for each of its entries."""
        with torch.enable_grad():
            value = self.loss(self.model(self.inputs), self.targets)
            gradient = flat(torch.autograd.grad(value, self.parameters, create_graph=True, materialize_grads=True))
            return rows_of_derivatives(gradient, self.parameters)

    @cached_property
    def gauss_newton(self):
        """The dense Jᵀ (∇²_z L) J."""
        with torch.enable_grad():
            jacobian = rows_of_derivatives(self.model(self.inputs).flatten(), self.parameters)
            outputs = self.model(self.inputs).detach().requires_grad_()
            (gradient,) = torch.autograd.grad(self.loss(outputs, self.targets), outputs, create_graph=True)
            by_outputs = rows_of_derivatives(gradient.flatten(), [outputs])
        return jacobian.T @ by_outputs @ jacobian

    def blocks(self, matrix):
        """The diagonal blocks of a matrix, one for each module that owns parameters; zeros elsewhere."""
        modules, start, kept = {}, 0, torch.zeros_like(matrix)
        for name, parameter in self.model.named_parameters():
            if parameter.requires_grad:
                owner = name.rpartition(".")[0]
                modules.setdefault(owner, []).extend(range(start, start + parameter.numel()))
                start += parameter.numel()
        for positions in modules.values():
            index = torch.tensor(positions)
            kept[index[:, None], index] = matrix[index[:, None], index]
        return kept

    def truth(self, coupling="full", curvature="hessian"):
        """The dense matrix that a Hessian of these options is of."""
        matrix = self.hessian if curvature == "hessian" else self.gauss_newton
        return matrix if coupling == "full" else self.blocks(matrix)


def problem(model="tanh", loss="cross-entropy", batch=3, *, dtype=torch.float64, device="cpu", scale=1.0):
    """A problem from the dictionaries; the same one each time.

    Args:
        model: A name of :data:`MODELS` or a function that makes a model of 4 inputs.
        loss: A name of :data:`LOSSES`.
        batch: How many samples.
        dtype: Of parameters and data.
        device: Where they are.
        scale: What the initial parameters are multiplied by.
    """
    make, shape = MODELS[model] if isinstance(model, str) else (model, (4,))
    function, targets_of = LOSSES[loss] if isinstance(loss, str) else (loss, labels)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = make().to(device, dtype)
        inputs = torch.randn(batch, *shape, dtype=torch.float64).to(device, dtype)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.mul_(scale)
    targets = targets_of(batch).to(device)
    return Problem(network, function, inputs, targets.to(dtype) if targets.is_floating_point() else targets)


def rows_of_derivatives(values, leaves):
    """The derivatives of each entry of ``values`` by all entries of ``leaves``, without anything batched."""
    count = sum(leaf.numel() for leaf in leaves)
    if not values.requires_grad:
        return values.new_zeros(len(values), count)
    return torch.stack(
        [flat(torch.autograd.grad(value, leaves, retain_graph=True, materialize_grads=True)) for value in values]
    )


def flat(tensors):
    """Tensors as one vector, in their order."""
    return torch.cat([tensor.reshape(-1) for tensor in tensors])


def padded(eigenvalues, count):
    """Eigenvalues with the zeros that are missing to ``count``, in ascending order."""
    zeros = eigenvalues.new_zeros(*eigenvalues.shape[:-1], count - eigenvalues.shape[-1])
    return torch.cat([eigenvalues, zeros], dim=-1).sort(dim=-1).values


def relative_error(found, expected):
    """The largest difference, relative to the largest expected entry."""
    return float((found - expected).abs().max() / expected.abs().max())
