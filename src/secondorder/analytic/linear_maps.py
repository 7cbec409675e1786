"""Linear maps of tensors, and selections, which are linear once it is known what they select."""

from collections.abc import Callable, Sequence

import torch


class LinearMap:
    """y = A(x₁, x₂, …) + c, A linear in all its arguments together.

    The adjoint is PyTorch's own derivative of the function: a linear map is its own derivative, and so the graph of one
    evaluation serves for every cotangent.

    Args:
        function: A.
        arguments: Tensors of the shapes that it is called with.
        offset: c; None for zero.
    """

    def __init__(
        self,
        function: Callable[..., torch.Tensor],
        arguments: Sequence[torch.Tensor],
        offset: torch.Tensor | float | None = None,
    ) -> None:
        self._function = function
        self._offset = offset
        self._leaves = [argument.detach().requires_grad_() for argument in arguments]
        with torch.enable_grad():
            self._result = torch.autograd.graph.get_gradient_edge(function(*self._leaves))

    def value(self, *arguments: torch.Tensor) -> torch.Tensor:
        """Return A(x₁, x₂, …) + c."""
        moved = self._function(*arguments)
        return moved if self._offset is None else moved + self._offset

    def apply(self, *arguments: torch.Tensor) -> torch.Tensor:
        """Return A(x₁, x₂, …), also of tangents."""
        return self._function(*arguments)

    def adjoint(self, cotangent: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        """Return Aᵀ ȳ, one part for each argument; None where A does not depend on it."""
        return torch.autograd.grad(self._result, self._leaves, cotangent, retain_graph=True, allow_unused=True)


class Selection:
    """y = x[indices], the indices being chosen by the values of x.

    Args:
        choose: Maps x to indices into its trailing dimensions, which it flattens: shape […, n₁, …].
        dimensions: The number of trailing dimensions that an index counts through.
    """

    def __init__(self, choose: Callable[[torch.Tensor], torch.Tensor], dimensions: int) -> None:
        self._choose = choose
        self._dimensions = dimensions

    def at(self, values: torch.Tensor) -> "Selected":
        """Return the linear map that the selection is at x."""
        return Selected(self._choose(values), values.shape, self._dimensions)


class Selected:
    """A selection whose indices are known.

    Args:
        indices: Shape [batch…, n₁, …], into the flattened trailing dimensions of x.
        shape: That of x.
        dimensions: The number of those dimensions.
    """

    def __init__(self, indices: torch.Tensor, shape: torch.Size, dimensions: int) -> None:
        self._shape = shape
        self._leading = shape[: len(shape) - dimensions]
        self._result_shape = indices.shape
        self._indices = indices.reshape(*self._leading, -1)

    def value(self, argument: torch.Tensor) -> torch.Tensor:
        """Return what is selected of x."""
        return self.apply(argument)

    def apply(self, argument: torch.Tensor) -> torch.Tensor:
        """Return what is selected of x, or of a tangent of it."""
        chosen = argument.reshape(*self._leading, -1).gather(-1, self._indices)
        return chosen.reshape(self._result_shape)

    def adjoint(self, cotangent: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        """Return the cotangent of x: that of y at its places, and zeros."""
        flat = cotangent.new_zeros(self._shape).reshape(*self._leading, -1)
        flat.scatter_add_(-1, self._indices, cotangent.reshape(self._indices.shape))
        return (flat.reshape(self._shape),)
