"""Bilinear products, and sums of two of them: a derivative of a product is a sum of products.

Every kind has three sums, over the pairs that it is given:

    apply:           Σ_k B(a_k, b_k)
    first adjoint:   Σ_k ā with ⟨ā, a⟩ = ⟨ȳ_k, B(a, b_k)⟩ for every a
    second adjoint:  Σ_k b̄ with ⟨b̄, b⟩ = ⟨ȳ_k, B(a_k, b)⟩ for every b
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch.nn import functional

Pairs = Sequence[tuple[torch.Tensor, torch.Tensor]]


class Product(ABC):
    """A bilinear function B of two tensors, to which a bias may be added."""

    def value(self, a: torch.Tensor, b: torch.Tensor, bias: torch.Tensor | None = None) -> torch.Tensor:
        """Return B(a, b) + bias."""
        return self.apply([(a, b)], bias)

    @abstractmethod
    def apply(self, pairs: Pairs, bias: torch.Tensor | None = None) -> torch.Tensor:
        """Return Σ_k B(a_k, b_k) + bias."""

    @abstractmethod
    def first_adjoint(self, pairs: Pairs) -> torch.Tensor:
        """Return the cotangent of a, from pairs (ȳ_k, b_k)."""

    @abstractmethod
    def second_adjoint(self, pairs: Pairs) -> torch.Tensor:
        """Return the cotangent of b, from pairs (ȳ_k, a_k)."""

    def bias_adjoint(self, cotangent: torch.Tensor) -> torch.Tensor:
        """Return the cotangent of the bias, from ȳ."""
        raise NotImplementedError


class ElementwiseProduct(Product):
    """y = a ∘ b, with broadcasting.

    Args:
        first: Shape of a.
        second: Shape of b.
    """

    def __init__(self, first: torch.Size, second: torch.Size) -> None:
        self._first = first
        self._second = second

    def apply(self, pairs: Pairs, bias: torch.Tensor | None = None) -> torch.Tensor:
        (a, b), *others = pairs
        total = a * b if bias is None else torch.addcmul(bias, a, b)
        for a, b in others:
            total.addcmul_(a, b)
        return total

    def first_adjoint(self, pairs: Pairs) -> torch.Tensor:
        return self.apply(pairs).sum_to_size(self._first)

    def second_adjoint(self, pairs: Pairs) -> torch.Tensor:
        return self.apply(pairs).sum_to_size(self._second)


class MatrixProduct(Product):
    """y = a b, matrices in the last two dimensions and broadcasting in those before.

    Args:
        first: Shape of a.
        second: Shape of b.
    """

    def __init__(self, first: torch.Size, second: torch.Size) -> None:
        self._first = first
        self._second = second

    def apply(self, pairs: Pairs, bias: torch.Tensor | None = None) -> torch.Tensor:
        total = sum_of([a @ b for a, b in pairs])
        return total if bias is None else total + bias

    def first_adjoint(self, pairs: Pairs) -> torch.Tensor:
        return sum_of([cotangent @ b.mT for cotangent, b in pairs]).sum_to_size(self._first)

    def second_adjoint(self, pairs: Pairs) -> torch.Tensor:
        return sum_of([a.mT @ cotangent for cotangent, a in pairs]).sum_to_size(self._second)


class LinearLayer(Product):
    """y = a bᵀ + bias, a of shape [..., n_in] and b of shape [n_out, n_in].

    Args:
        bias: Shape of the bias, which is broadcast; None where there is none.
    """

    def __init__(self, bias: torch.Size | None = None) -> None:
        self._bias = bias

    def apply(self, pairs: Pairs, bias: torch.Tensor | None = None) -> torch.Tensor:
        (a, b), *others = pairs
        total = functional.linear(a, b, bias)
        rows = total.view(-1, total.shape[-1])
        for a, b in others:
            rows.addmm_(_rows(a), b.t())
        return total

    def first_adjoint(self, pairs: Pairs) -> torch.Tensor:
        (cotangent, b), *others = pairs
        total = cotangent @ b
        rows = total.view(-1, total.shape[-1])
        for cotangent, b in others:
            rows.addmm_(_rows(cotangent), b)
        return total

    def second_adjoint(self, pairs: Pairs) -> torch.Tensor:
        (cotangent, a), *others = pairs
        total = _rows(cotangent).t() @ _rows(a)
        for cotangent, a in others:
            total.addmm_(_rows(cotangent).t(), _rows(a))
        return total

    def bias_adjoint(self, cotangent: torch.Tensor) -> torch.Tensor:
        return cotangent if self._bias is None else cotangent.sum_to_size(self._bias)


class Convolution(Product):
    """y = a ⋆ b + bias, a of shape [batch, channels, …] and b a kernel.

    Args:
        first: Shape of a.
        second: Shape of b.
        stride: Of each dimension.
        padding: Of each dimension, on both sides.
        dilation: Of each dimension.
        groups: Groups of channels.
        transposed: Whether it is the adjoint of a convolution.
        output_padding: Of each dimension, where transposed.
    """

    def __init__(
        self,
        first: torch.Size,
        second: torch.Size,
        stride: list[int],
        padding: list[int],
        dilation: list[int],
        groups: int = 1,
        *,
        transposed: bool = False,
        output_padding: list[int] | None = None,
    ) -> None:
        self._first = first
        self._second = second
        self._settings = (
            stride,
            padding,
            dilation,
            transposed,
            output_padding or [0] * len(stride),
        )
        self._groups = groups
        # Channels of two products can be laid side by side where there is one group.
        self._input_channels, self._output_channels = (0, 1) if transposed else (1, 0)

    def apply(self, pairs: Pairs, bias: torch.Tensor | None = None) -> torch.Tensor:
        if len(pairs) == 1 or self._groups > 1:
            parts = [
                torch.convolution(a, b, bias if k == 0 else None, *self._settings, self._groups)
                for k, (a, b) in enumerate(pairs)
            ]
            return sum_of(parts)
        a = torch.cat([a for a, _ in pairs], 1)
        b = torch.cat([b for _, b in pairs], self._input_channels)
        return torch.convolution(a, b, bias, *self._settings, self._groups)

    def first_adjoint(self, pairs: Pairs) -> torch.Tensor:
        if self._groups > 1:
            return sum_of([self._adjoint(cotangent, None, b)[0] for cotangent, b in pairs])
        cotangents = torch.cat([cotangent for cotangent, _ in pairs], 1) if len(pairs) > 1 else pairs[0][0]
        kernels = torch.cat([b for _, b in pairs], self._output_channels) if len(pairs) > 1 else pairs[0][1]
        return self._adjoint(cotangents, None, kernels)[0]

    def second_adjoint(self, pairs: Pairs) -> torch.Tensor:
        cotangents = torch.cat([cotangent for cotangent, _ in pairs]) if len(pairs) > 1 else pairs[0][0]
        inputs = torch.cat([a for _, a in pairs]) if len(pairs) > 1 else pairs[0][1]
        return self._adjoint(cotangents, inputs, None)[1]

    def bias_adjoint(self, cotangent: torch.Tensor) -> torch.Tensor:
        return cotangent.sum([d for d in range(cotangent.ndim) if d != 1])

    def _adjoint(
        self, cotangent: torch.Tensor, a: torch.Tensor | None, b: torch.Tensor | None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        # The side that is differentiated by is looked at for its shape alone.
        first = cotangent.new_empty(1).expand(self._first) if a is None else a
        second = cotangent.new_empty(1).expand(self._second) if b is None else b
        found: tuple[torch.Tensor, torch.Tensor, torch.Tensor] = torch.ops.aten.convolution_backward(
            cotangent, first, second, None, *self._settings, self._groups, [a is None, b is None, False]
        )
        return found[0], found[1]


def sum_of(parts: Sequence[torch.Tensor]) -> torch.Tensor:
    """Return the sum of new tensors, in the memory of the first."""
    total = parts[0]
    for part in parts[1:]:
        total += part
    return total


def _rows(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.reshape(-1, tensor.shape[-1])
