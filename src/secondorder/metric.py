"""What a problem's networks are judged by, as far as statistics, tables and figures need to know."""

import dataclasses
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class MetricDescription:
    """A metric in plain values: its names, its bounds, its direction and how it is shown.

    Attributes:
        name: In results: ``validation_<name>``.
        label: In tables and figures.
        error_label: What the distance to a perfect network is called in figures.
        higher_is_better: The direction.
        low: Smallest value there is.
        high: Largest value there is; None where there is none, and then lower is better.
        factor: What a value is multiplied by to be shown.
        unit: Of what is shown.
    """

    name: str
    label: str
    error_label: str
    higher_is_better: bool
    low: float = 0.0
    high: float | None = None
    factor: float = 1.0
    unit: str = ""

    @property
    def title(self) -> str:
        """The label with its unit."""
        return self._with_unit(self.label)

    @property
    def error_title(self) -> str:
        """The error's label with its unit."""
        return self._with_unit(self.error_label)

    @property
    def better(self) -> str:
        """The better direction, in a word."""
        return "higher" if self.higher_is_better else "lower"

    def text(self, value: float) -> str:
        """Return a value with its unit, for readers."""
        return f"{self.factor * value:.2f}{self.unit}"

    def reached(self, values: Any, target: Any) -> Any:
        """Return whether values are at least as good as a target, element by element."""
        return values >= target if self.higher_is_better else values <= target

    def error(self, values: Any) -> Any:
        """Return how far values are from a perfect network's, as shown: never negative, and smaller is better."""
        return self.factor * (self.high - values if self.higher_is_better else values - self.low)

    def gap(self, training: float, validation: float) -> float:
        """Return by how much a network is better in training than in validation, in the metric's own unit."""
        return training - validation if self.higher_is_better else validation - training

    def is_target(self, value: float) -> bool:
        """Return whether a value lies between the bounds, so that it can be a target."""
        return self.low < value and (self.high is None or value < self.high)

    def to_mapping(self) -> dict[str, Any]:
        """Return plain values, from which ``MetricDescription(**values)`` makes it again."""
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(MetricDescription)}

    def _with_unit(self, label: str) -> str:
        return f"{label} ({self.unit})" if self.unit else label
