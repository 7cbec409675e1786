"""Work in gradient-equivalents: one currency for gradients, losses and Hessian-vector products.

One forward and backward pass over a batch of the problem's batch size is 1 gradient-equivalent, so a pass over n
samples is n / batch size. The other prices are counted in matrix products per dense layer, the forward pass being one
and the backward pass two: a gradient is 3/3, and a loss alone 1/3. A Hessian-vector product costs, by its method:

- `r_operator` and `double_backward` 6/3: each of the gradient's three products has a derivative by both of its factors,
  and the gradient itself, whose values they need, is kept from product to product;
- `finite_difference` 6/3: two gradients;
- `forward_over_reverse` 9/3: nothing is kept, so the gradient is computed again with each product;
- `complex_step` 10/3: a complex product is four real ones. Four forward, four backward to the layer's input and two to
  its weight, of which only the imaginary part is wanted.

A product with the Gauss-Newton matrix Jᵀ(∇²_z L)J costs 4/3: the forward pass of tangents has two matrix products per
layer, and the backward pass of Jᵀ two. The graph that its products share is that of the gradient. One backward pass
through such a graph costs 2/3.

What can be used for all products at one point is one gradient, counted as such: it is the loss and the gradient there.
What else a method computes (factorizations, eigenvalues, Gram matrices) is priced by its multiplications, relative to
those of the gradient. They are conventions, fixed so that a budget means the same on every machine; what an evaluation
costs in seconds is in the timing file.
"""

from dataclasses import asdict, dataclass
from typing import Any

LOSS_PRICE = 1 / 3
BACKWARD_PRICE = 2 / 3
GAUSS_NEWTON_PRICE = 4 / 3
PRODUCT_PRICES = {
    "complex_step": 10 / 3,
    "r_operator": 2.0,
    "forward_over_reverse": 3.0,
    "double_backward": 2.0,
    "finite_difference": 2.0,
}


@dataclass
class Work:
    """The work done so far.

    Attributes:
        unit_samples: Samples in one gradient-equivalent, the problem's batch size.
        gradients: Gradient evaluations.
        losses: Loss evaluations without a gradient.
        products: Products with the Hessian or the Gauss-Newton matrix.
        gradient_equivalents: All of them in gradient-equivalents.
    """

    unit_samples: int
    gradients: int = 0
    losses: int = 0
    products: int = 0
    gradient_equivalents: float = 0.0

    def count_gradient(self, samples: int) -> None:
        """Add one gradient over ``samples`` samples."""
        self.gradients += 1
        self.gradient_equivalents += samples / self.unit_samples

    def count_loss(self, samples: int) -> None:
        """Add one loss over ``samples`` samples."""
        self.losses += 1
        self.gradient_equivalents += LOSS_PRICE * samples / self.unit_samples

    def count_backward(self, samples: int) -> None:
        """Add one backward pass over ``samples`` samples through a graph that is kept."""
        self.gradient_equivalents += BACKWARD_PRICE * samples / self.unit_samples

    def count_product(self, samples: int, price: float) -> None:
        """Add one product with a curvature matrix over ``samples`` samples, for one of the prices above."""
        self.products += 1
        self.gradient_equivalents += price * samples / self.unit_samples

    def count_multiplications(self, count: float, per_sample_gradient: float) -> None:
        """Add other work, such as factorizations, by its multiplications.

        Args:
            count: Multiplications.
            per_sample_gradient: Multiplications of the gradient of one sample, three forward passes.
        """
        self.gradient_equivalents += count / (per_sample_gradient * self.unit_samples)

    def counts(self) -> dict[str, Any]:
        """Return the totals by name, without the unit."""
        return {name: value for name, value in asdict(self).items() if name != "unit_samples"}

    def state_dict(self) -> dict[str, Any]:
        """Return all fields, from which ``Work(**state)`` makes it again."""
        return asdict(self)
