"""Three analytic functions with their gradients and Hessians in closed form; the minimum of each is 0.

All work on points of shape (..., d) and return one value, gradient or Hessian for each.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from secondorder.errors import InputError

_ROTATION_SEED = 4


@dataclass(frozen=True)
class AnalyticFunction:
    """A function of d numbers of which everything is known; all tensors are float64.

    Attributes:
        value: Points, shape (..., d), to f, shape (...).
        gradient: Points to ∇f, shape (..., d).
        hessian: Points to ∇²f, shape (..., d, d).
        residuals: Points, shape (n, d), to r, shape (n, m), with f = mean over the m of r²: a least-squares problem.
        start: Where paths begin, shape (d,).
        minimisers: Where f is 0, shape (k, d).
        design: R, shape (m, d), where r = R (θ − minimiser) is linear; None where it is not.
    """

    value: Callable[[torch.Tensor], torch.Tensor]
    gradient: Callable[[torch.Tensor], torch.Tensor]
    hessian: Callable[[torch.Tensor], torch.Tensor]
    residuals: Callable[[torch.Tensor], torch.Tensor]
    start: torch.Tensor
    minimisers: torch.Tensor
    design: torch.Tensor | None = None

    @property
    def curvature(self) -> float:
        """The largest absolute eigenvalue of the Hessian at the start."""
        return float(torch.linalg.eigvalsh(self.hessian(self.start)).abs().max())


def quadratic(condition: float, dimension: int) -> AnalyticFunction:
    """Return f(θ) = ½ (θ − 1)ᵀ H (θ − 1), H = Q diag(λ) Qᵀ, λ from 1 down to 1/κ in equal ratios.

    Q is a fixed random rotation. At the start every eigendirection holds the same share of f, and the flattest one is
    at distance 1: θ₀ = 1 + Q (λ_min/λ)^½. Otherwise f would be small before the flat directions have moved, however
    ill-conditioned it is. The residuals are those of d random mixtures of the eigendirections.

    Args:
        condition: κ, at least 1.
        dimension: d, at least 2.

    Raises:
        InputError: There is no such quadratic.
    """
    if condition < 1 or dimension < 2:
        raise InputError(
            f"a quadratic of condition {condition:g} in {dimension} dimensions does not exist; give a condition of at "
            "least 1 and at least 2 dimensions"
        )
    values = torch.logspace(0, -torch.log10(torch.tensor(condition)).item(), dimension, dtype=torch.float64)
    generator = torch.Generator().manual_seed(_ROTATION_SEED)
    rotation, mixture = (
        torch.linalg.qr(torch.randn(dimension, dimension, generator=generator, dtype=torch.float64)).Q for _ in range(2)
    )
    matrix = rotation @ torch.diag(values) @ rotation.T
    # Symmetric to the last bit, as the rounded product is not.
    matrix = (matrix + matrix.T) / 2
    root = (dimension / 2) ** 0.5 * mixture @ torch.diag(values.sqrt()) @ rotation.T
    minimiser = torch.ones(dimension, dtype=torch.float64)
    return AnalyticFunction(
        value=lambda points: ((points - minimiser) @ matrix * (points - minimiser)).sum(-1) / 2,
        gradient=lambda points: (points - minimiser) @ matrix,
        hessian=lambda points: matrix.expand(*points.shape[:-1], dimension, dimension),
        residuals=lambda points: (points - minimiser) @ root.T,
        start=minimiser + rotation @ (values[-1] / values).sqrt(),
        minimisers=minimiser[None],
        design=root,
    )


def rosenbrock() -> AnalyticFunction:
    """Return f(x, y) = (1 − x)² + 100 (y − x²)² (Rosenbrock 1960), from its classical start (−1.2, 1)."""

    def value(points: torch.Tensor) -> torch.Tensor:
        x, y = points.unbind(-1)
        return (1 - x) ** 2 + 100 * (y - x**2) ** 2

    def gradient(points: torch.Tensor) -> torch.Tensor:
        x, y = points.unbind(-1)
        return torch.stack([2 * (x - 1) - 400 * x * (y - x**2), 200 * (y - x**2)], dim=-1)

    def hessian(points: torch.Tensor) -> torch.Tensor:
        x, y = points.unbind(-1)
        return _symmetric(2 - 400 * y + 1200 * x**2, -400 * x, torch.full_like(x, 200.0))

    def residuals(points: torch.Tensor) -> torch.Tensor:
        x, y = points[:, 0], points[:, 1]
        return 2**0.5 * torch.stack([1 - x, 10 * (y - x * x)], dim=1)

    return AnalyticFunction(value, gradient, hessian, residuals, start=_points([-1.2, 1]), minimisers=_points([[1, 1]]))


def strict_saddle(distance: float) -> AnalyticFunction:
    """Return f(x, y) = ½ (x² − y²) + ¼ y⁴ + ¼ = ½ x² + ¼ (y² − 1)², from (1, distance).

    The minimisers are (0, ±1). At the saddle (0, 0) the Hessian is diag(1, −1). The line y = 0 is its stable manifold:
    there the gradient points along it, so that gradient descent from it ends in the saddle.

    Args:
        distance: That of the start from the stable manifold, at least 0.

    Raises:
        InputError: The distance is below 0.
    """
    if distance < 0:
        raise InputError(f"the distance from the stable manifold is {distance:g}; give one of at least 0")

    def value(points: torch.Tensor) -> torch.Tensor:
        x, y = points.unbind(-1)
        return x**2 / 2 + (y**2 - 1) ** 2 / 4

    def gradient(points: torch.Tensor) -> torch.Tensor:
        x, y = points.unbind(-1)
        return torch.stack([x, y**3 - y], dim=-1)

    def hessian(points: torch.Tensor) -> torch.Tensor:
        x, y = points.unbind(-1)
        return _symmetric(torch.ones_like(x), torch.zeros_like(x), 3 * y**2 - 1)

    def residuals(points: torch.Tensor) -> torch.Tensor:
        x, y = points[:, 0], points[:, 1]
        return torch.stack([x, 0.5**0.5 * (y * y - 1)], dim=1)

    return AnalyticFunction(
        value,
        gradient,
        hessian,
        residuals,
        start=_points([1, distance]),
        minimisers=_points([[0, 1], [0, -1]]),
    )


def _points(numbers: Sequence[float] | Sequence[Sequence[float]]) -> torch.Tensor:
    return torch.tensor(numbers, dtype=torch.float64)


def _symmetric(first: torch.Tensor, off_diagonal: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """Return matrices [[first, off_diagonal], [off_diagonal, second]], shape (..., 2, 2)."""
    rows = [torch.stack([first, off_diagonal], dim=-1), torch.stack([off_diagonal, second], dim=-1)]
    return torch.stack(rows, dim=-2)


KINDS: dict[str, Callable[..., AnalyticFunction]] = {
    "quadratic": quadratic,
    "rosenbrock": rosenbrock,
    "strict_saddle": strict_saddle,
}
"""The functions by name, each with the arguments that make one."""
