"""Declared settings: what an optimizer or a problem can be told, with its unit, its bounds and the reason for it.

An optimizer or a problem declares its settings once, as a frozen dataclass whose fields come from :func:`setting`.
Training uses the dataclass as it is and needs no other library; ``secondorder.configuration`` turns it into a
Pydantic model that validates a configuration file and writes its documentation.
"""

import dataclasses
import math
import numbers
import operator
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from secondorder.errors import ConfigurationError


def setting(
    default: Any,
    description: str,
    *,
    above: float | None = None,
    at_least: float | None = None,
    below: float | None = None,
    at_most: float | None = None,
) -> Any:
    """Declare one setting, as the default value of a dataclass field of type bool, int, float, str or a Literal of str.

    Args:
        default: The value when the configuration is silent.
        description: What it is, its unit, and why the default is what it is.
        above: Exclusive lower bound.
        at_least: Inclusive lower bound.
        below: Exclusive upper bound.
        at_most: Inclusive upper bound.
    """
    bounds = {"gt": above, "ge": at_least, "lt": below, "le": at_most}
    return dataclasses.field(
        default=default,
        metadata={
            "description": description,
            "bounds": {name: bound for name, bound in bounds.items() if bound is not None},
        },
    )


@dataclass(frozen=True)
class DeclaredSettings:
    """Base of all settings: an instance holds values of the declared types, within their bounds.

    Raises:
        ConfigurationError: A value is of another type, no declared choice, out of its bounds or not finite.
    """

    def __post_init__(self) -> None:
        """Check each value, and then all together."""
        hints = get_type_hints(type(self))
        for field in dataclasses.fields(self):
            _check(type(self), field, hints[field.name], getattr(self, field.name))
        self.check()

    def check(self) -> None:
        """Refuse settings that contradict each other; nothing here. An override calls that of its parent."""


Settings = TypeVar("Settings", bound=DeclaredSettings)


def settings_from(declared: type[Settings], values: Mapping[str, Any]) -> Settings:
    """Return the declared settings with ``values`` in place of the defaults.

    Raises:
        ConfigurationError: A name in ``values`` is not declared, or a value is none of its setting.
    """
    known = [field.name for field in dataclasses.fields(declared)]
    unknown = sorted(set(values) - set(known))
    if unknown:
        raise ConfigurationError(
            f"{unknown[0]!r} is not a setting of {declared.__module__}; it has {', '.join(known) or 'none'}"
        )
    return declared(**values)


TYPE_NAMES: Mapping[Any, str] = {bool: "true or false", int: "a whole number", float: "a number", str: "text"}

_TAKEN: Mapping[Any, type[Any]] = {bool: bool, int: numbers.Integral, float: numbers.Real, str: str}

_BOUNDS = {
    "gt": ("above", operator.gt),
    "ge": ("at least", operator.ge),
    "lt": ("below", operator.lt),
    "le": ("at most", operator.le),
}


def _check(declared: type[Any], field: dataclasses.Field[Any], kind: Any, value: Any) -> None:
    wanted = _wanted(field, kind, value)
    if wanted:
        raise ConfigurationError(f"{declared.__module__}: {field.name} is {value!r}; it must be {wanted}")


def _wanted(field: dataclasses.Field[Any], kind: Any, value: Any) -> str | None:
    """Return what a value should be where it is not."""
    if get_origin(kind) is Literal:
        return None if isinstance(value, str) and value in get_args(kind) else f"one of {', '.join(get_args(kind))}"
    # A whole number is a number, and True is neither.
    if not isinstance(value, _TAKEN[kind]) or (isinstance(value, bool) and kind is not bool):
        return TYPE_NAMES[kind]
    if kind is float and not _is_finite(value):
        return "finite"
    for name, limit in field.metadata.get("bounds", {}).items():
        words, holds = _BOUNDS[name]
        if not holds(value, limit):
            return f"{words} {limit}"
    return None


def _is_finite(value: Any) -> bool:
    try:
        return math.isfinite(float(value))
    except OverflowError:
        return False
