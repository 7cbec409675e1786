"""Element-wise functions with two derivatives, and their analytic continuation in pairs of real tensors.

A continuation must keep an imaginary part of 1e-100 beside a real part of 1: nothing is found as a difference of larger
numbers. The formulas are derived in docs/methods.md, section 2.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

Planes = tuple[torch.Tensor, torch.Tensor]


class Elementwise(ABC):
    """A real function f of one number, applied to each entry, with its continuation to x + iy."""

    @abstractmethod
    def value(self, x: torch.Tensor) -> torch.Tensor:
        """Return f(x)."""

    @abstractmethod
    def derivative(self, x: torch.Tensor) -> torch.Tensor:
        """Return f'(x)."""

    @abstractmethod
    def second_derivative(self, x: torch.Tensor) -> torch.Tensor | None:
        """Return f''(x); None where it is zero everywhere."""

    @abstractmethod
    def continuation(self, x: torch.Tensor, y: torch.Tensor) -> Planes:
        """Return the real and the imaginary part of f(x + iy)."""

    @abstractmethod
    def continued_derivative(self, x: torch.Tensor, y: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Return the real and the imaginary part of f'(x + iy); None for an imaginary part that is zero everywhere."""


@dataclass(frozen=True)
class PiecewiseLinear(Elementwise):
    """A function of straight pieces; at x + iy the piece is the one of x.

    Attributes:
        function: f.
        slope: f', as PyTorch's backward pass has it at the kinks.
    """

    function: Callable[[torch.Tensor], torch.Tensor]
    slope: Callable[[torch.Tensor], torch.Tensor]

    def value(self, x: torch.Tensor) -> torch.Tensor:
        return self.function(x)

    def derivative(self, x: torch.Tensor) -> torch.Tensor:
        return self.slope(x).to(x.dtype)

    def second_derivative(self, x: torch.Tensor) -> None:  # noqa: ARG002
        return None

    def continuation(self, x: torch.Tensor, y: torch.Tensor) -> Planes:
        return self.function(x), self.slope(x) * y

    def continued_derivative(self, x: torch.Tensor, y: torch.Tensor) -> tuple[torch.Tensor, None]:  # noqa: ARG002
        return self.slope(x).to(x.dtype), None


class Exponential(Elementwise):
    """e^z = e^x (cos y + i sin y)."""

    def value(self, x: torch.Tensor) -> torch.Tensor:
        return x.exp()

    def derivative(self, x: torch.Tensor) -> torch.Tensor:
        return x.exp()

    def second_derivative(self, x: torch.Tensor) -> torch.Tensor:
        return x.exp()

    def continuation(self, x: torch.Tensor, y: torch.Tensor) -> Planes:
        size = x.exp()
        return size * y.cos(), size * y.sin()

    def continued_derivative(self, x: torch.Tensor, y: torch.Tensor) -> Planes:
        return self.continuation(x, y)


class ExponentialMinusOne(Exponential):
    """e^z − 1, with cos y − 1 = −2 sin²(y/2)."""

    def value(self, x: torch.Tensor) -> torch.Tensor:
        return x.expm1()

    def continuation(self, x: torch.Tensor, y: torch.Tensor) -> Planes:
        size = x.exp()
        return x.expm1() - 2 * size * (y / 2).sin().square(), size * y.sin()

    def continued_derivative(self, x: torch.Tensor, y: torch.Tensor) -> Planes:
        return super().continuation(x, y)


class Logarithm(Elementwise):
    """log z = log x + log(1 + (y/x)²)/2 + i arctan(y/x), for x > 0."""

    def value(self, x: torch.Tensor) -> torch.Tensor:
        return x.log()

    def derivative(self, x: torch.Tensor) -> torch.Tensor:
        return x.reciprocal()

    def second_derivative(self, x: torch.Tensor) -> torch.Tensor:
        return -x.reciprocal().square()

    def continuation(self, x: torch.Tensor, y: torch.Tensor) -> Planes:
        ratio = y / x
        return x.log() + ratio.square().log1p() / 2, ratio.atan()

    def continued_derivative(self, x: torch.Tensor, y: torch.Tensor) -> Planes:
        return Power(-1.0).continuation(x, y)


class LogarithmOfOnePlus(Elementwise):
    """log(1 + z), for x > −1."""

    def value(self, x: torch.Tensor) -> torch.Tensor:
        return x.log1p()

    def derivative(self, x: torch.Tensor) -> torch.Tensor:
        return (1 + x).reciprocal()

    def second_derivative(self, x: torch.Tensor) -> torch.Tensor:
        return -(1 + x).reciprocal().square()

    def continuation(self, x: torch.Tensor, y: torch.Tensor) -> Planes:
        ratio = y / (1 + x)
        return x.log1p() + ratio.square().log1p() / 2, ratio.atan()

    def continued_derivative(self, x: torch.Tensor, y: torch.Tensor) -> Planes:
        return Power(-1.0).continuation(1 + x, y)


@dataclass(frozen=True)
class Power(Elementwise):
    """z^p = x^p (1 + ir)^p with r = y/x: for x > 0, and for x < 0 where p is an integer; 0 at x = 0 for p > 1.

    Attributes:
        exponent: p.
    """

    exponent: float

    def value(self, x: torch.Tensor) -> torch.Tensor:
        return x**self.exponent

    def derivative(self, x: torch.Tensor) -> torch.Tensor:
        return self.exponent * x ** (self.exponent - 1)

    def second_derivative(self, x: torch.Tensor) -> torch.Tensor:
        return self.exponent * (self.exponent - 1) * x ** (self.exponent - 2)

    def continuation(self, x: torch.Tensor, y: torch.Tensor) -> Planes:
        # The limit at the branch point, where y/x has none; relu(x)**2.5 comes there.
        ends = (x == 0) & (self.exponent > 1)
        ratio = torch.where(ends, 0.0, y / x)
        size = x**self.exponent * (ratio.square().log1p() * (self.exponent / 2)).exp()
        angle = self.exponent * ratio.atan()
        return size * angle.cos(), size * angle.sin()

    def continued_derivative(self, x: torch.Tensor, y: torch.Tensor) -> Planes:
        real, imaginary = Power(self.exponent - 1).continuation(x, y)
        return self.exponent * real, self.exponent * imaginary


class HyperbolicTangent(Elementwise):
    """tanh z = (t (1 + u²) + i u (1 − t²)) / (1 + t²u²) with t = tanh x and u = tan y."""

    def value(self, x: torch.Tensor) -> torch.Tensor:
        return x.tanh()

    def derivative(self, x: torch.Tensor) -> torch.Tensor:
        return 1 - x.tanh().square()

    def second_derivative(self, x: torch.Tensor) -> torch.Tensor:
        t = x.tanh()
        return -2 * t * (1 - t.square())

    def continuation(self, x: torch.Tensor, y: torch.Tensor) -> Planes:
        t, u = x.tanh(), y.tan()
        divisor = 1 + (t * u).square()
        return t * (1 + u.square()) / divisor, u * (1 - t.square()) / divisor

    def continued_derivative(self, x: torch.Tensor, y: torch.Tensor) -> Planes:
        real, imaginary = self.continuation(x, y)
        return 1 - real.square() + imaginary.square(), -2 * real * imaginary


class Sigmoid(Elementwise):
    """σ(z) = σ(x) (D + iE) / (D² + E²), D = 1 − 2 σ(−x) sin²(y/2), E = σ(−x) sin y; σ' = σ(z) σ(−z)."""

    def value(self, x: torch.Tensor) -> torch.Tensor:
        return x.sigmoid()

    def derivative(self, x: torch.Tensor) -> torch.Tensor:
        return x.sigmoid() * (-x).sigmoid()

    def second_derivative(self, x: torch.Tensor) -> torch.Tensor:
        up, down = x.sigmoid(), (-x).sigmoid()
        return up * down * (down - up)

    def continuation(self, x: torch.Tensor, y: torch.Tensor) -> Planes:
        up, down = x.sigmoid(), (-x).sigmoid()
        d, e = 1 - 2 * down * (y / 2).sin().square(), down * y.sin()
        size = up / (d.square() + e.square())
        return size * d, size * e

    def continued_derivative(self, x: torch.Tensor, y: torch.Tensor) -> Planes:
        return complex_product(self.continuation(x, y), self.continuation(-x, -y))


@dataclass(frozen=True)
class Softplus(Elementwise):
    """log(1 + e^z) = log(1 + e^x) + log(D + iE), D = 1 − 2 σ(x) sin²(y/2), E = σ(x) sin y.

    Attributes:
        threshold: Above it the function is z itself, as PyTorch has it.
    """

    threshold: float = math.inf

    def value(self, x: torch.Tensor) -> torch.Tensor:
        return torch.where(x > self.threshold, x, _softplus(x))

    def derivative(self, x: torch.Tensor) -> torch.Tensor:
        return torch.where(x > self.threshold, 1.0, x.sigmoid())

    def second_derivative(self, x: torch.Tensor) -> torch.Tensor:
        return torch.where(x > self.threshold, 0.0, Sigmoid().derivative(x))

    def continuation(self, x: torch.Tensor, y: torch.Tensor) -> Planes:
        up, k, sine = x.sigmoid(), (y / 2).sin().square(), y.sin()
        excess = 4 * up * k * (up * k - 1) + (up * sine).square()
        real = _softplus(x) + excess.log1p() / 2
        imaginary = torch.atan2(up * sine, 1 - 2 * up * k)
        straight = x > self.threshold
        return torch.where(straight, x, real), torch.where(straight, y, imaginary)

    def continued_derivative(self, x: torch.Tensor, y: torch.Tensor) -> Planes:
        real, imaginary = Sigmoid().continuation(x, y)
        straight = x > self.threshold
        return torch.where(straight, 1.0, real), torch.where(straight, 0.0, imaginary)


@dataclass(frozen=True)
class ExponentialLinearUnit(Elementwise):
    """z where x > 0, and α (e^(z/β) − 1) elsewhere; at x = 0 the slope is α/β and the curvature 0, as PyTorch has it.

    Attributes:
        size: α.
        width: β.
    """

    size: float = 1.0
    width: float = 1.0

    def value(self, x: torch.Tensor) -> torch.Tensor:
        return torch.where(x > 0, x, self.size * (x.clamp_max(0) / self.width).expm1())

    def derivative(self, x: torch.Tensor) -> torch.Tensor:
        return torch.where(x > 0, 1.0, self.size / self.width * (x.clamp_max(0) / self.width).exp())

    def second_derivative(self, x: torch.Tensor) -> torch.Tensor:
        bend = self.size / self.width**2 * (x.clamp_max(0) / self.width).exp()
        return torch.where(x >= 0, 0.0, bend)

    def continuation(self, x: torch.Tensor, y: torch.Tensor) -> Planes:
        real, imaginary = ExponentialMinusOne().continuation(x.clamp_max(0) / self.width, y / self.width)
        return torch.where(x > 0, x, self.size * real), torch.where(x > 0, y, self.size * imaginary)

    def continued_derivative(self, x: torch.Tensor, y: torch.Tensor) -> Planes:
        real, imaginary = Exponential().continuation(x.clamp_max(0) / self.width, y / self.width)
        slope = self.size / self.width
        return torch.where(x > 0, 1.0, slope * real), torch.where(x >= 0, 0.0, slope * imaginary)


class Sine(Elementwise):
    """sin z = sin x cosh y + i cos x sinh y."""

    def value(self, x: torch.Tensor) -> torch.Tensor:
        return x.sin()

    def derivative(self, x: torch.Tensor) -> torch.Tensor:
        return x.cos()

    def second_derivative(self, x: torch.Tensor) -> torch.Tensor:
        return -x.sin()

    def continuation(self, x: torch.Tensor, y: torch.Tensor) -> Planes:
        return x.sin() * y.cosh(), x.cos() * y.sinh()

    def continued_derivative(self, x: torch.Tensor, y: torch.Tensor) -> Planes:
        return x.cos() * y.cosh(), -x.sin() * y.sinh()


class Cosine(Elementwise):
    """cos z = cos x cosh y − i sin x sinh y."""

    def value(self, x: torch.Tensor) -> torch.Tensor:
        return x.cos()

    def derivative(self, x: torch.Tensor) -> torch.Tensor:
        return -x.sin()

    def second_derivative(self, x: torch.Tensor) -> torch.Tensor:
        return -x.cos()

    def continuation(self, x: torch.Tensor, y: torch.Tensor) -> Planes:
        return x.cos() * y.cosh(), -x.sin() * y.sinh()

    def continued_derivative(self, x: torch.Tensor, y: torch.Tensor) -> Planes:
        return -x.sin() * y.cosh(), -x.cos() * y.sinh()


class ErrorFunction(Elementwise):
    """erf z = erf x + (2i/√π) e^(−x²) y ∫₀¹ e^(y²t²) e^(−2ixyt) dt, the integral by Gauss and Legendre."""

    def value(self, x: torch.Tensor) -> torch.Tensor:
        return x.erf()

    def derivative(self, x: torch.Tensor) -> torch.Tensor:
        return 2 / math.sqrt(math.pi) * (-x.square()).exp()

    def second_derivative(self, x: torch.Tensor) -> torch.Tensor:
        return -2 * x * self.derivative(x)

    def continuation(self, x: torch.Tensor, y: torch.Tensor) -> Planes:
        size = self.derivative(x) * y
        # Where e^(−x²) has vanished the integral does not matter, and x y may be large.
        turn = 2 * x.clamp(-30, 30) * y
        cosines, sines = torch.zeros_like(x), torch.zeros_like(x)
        for node, weight in _quadrature(turn, y):
            growth = weight * (y * node).square().exp()
            cosines += growth * (turn * node).cos()
            sines += growth * (turn * node).sin()
        return x.erf() + size * sines, size * cosines

    def continued_derivative(self, x: torch.Tensor, y: torch.Tensor) -> Planes:
        size = 2 / math.sqrt(math.pi) * (y.square() - x.square()).exp()
        turn = 2 * x * y
        return size * turn.cos(), -size * turn.sin()


def _softplus(x: torch.Tensor) -> torch.Tensor:
    """Return log(1 + e^x), without an overflow."""
    return x.clamp_min(0) + (-x.abs()).exp().log1p()


def _quadrature(turn: torch.Tensor, y: torch.Tensor) -> list[tuple[float, float]]:
    """Return nodes and weights on [0, 1]: two are exact to the last digit where the integrand hardly moves."""
    moves = max((float(part.abs().max()) for part in (turn, y) if part.numel()), default=0.0)
    nodes, weights = np.polynomial.legendre.leggauss(2 if moves < 1e-4 else 24)
    return [(float(node + 1) / 2, float(weight) / 2) for node, weight in zip(nodes, weights, strict=True)]


def complex_product(first: Planes, second: Planes) -> Planes:
    """Return (a + ib)(c + id) as its real and imaginary part."""
    (a, b), (c, d) = first, second
    return a * c - b * d, a * d + b * c
