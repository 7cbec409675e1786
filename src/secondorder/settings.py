"""Declared settings: what an optimizer or a problem can be told, with its unit, its bounds and the reason for it.

An optimizer or a problem declares its settings once, as a frozen dataclass whose fields come from :func:`setting`.
Training uses the dataclass as it is and needs no other library; ``secondorder.configuration`` turns it into a
Pydantic model that validates a configuration file and writes its documentation.
"""

import dataclasses
import operator
from collections.abc import Mapping
from typing import Any, ClassVar, Protocol, TypeVar

from secondorder.errors import ConfigurationError


class DataclassInstance(Protocol):
    """Any instance of a dataclass."""

    __dataclass_fields__: ClassVar[dict[str, dataclasses.Field[Any]]]


def setting(
    default: Any,
    description: str,
    *,
    above: float | None = None,
    at_least: float | None = None,
    below: float | None = None,
    at_most: float | None = None,
) -> Any:
    """Declare one setting, as the default value of a dataclass field.

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


Settings = TypeVar("Settings", bound=DataclassInstance)


def settings_from(declared: type[Settings], values: Mapping[str, Any]) -> Settings:
    """Return the declared settings with ``values`` in place of the defaults.

    Raises:
        ConfigurationError: A name in ``values`` is not declared, or a value is out of its bounds.
    """
    known = [field.name for field in dataclasses.fields(declared)]
    unknown = sorted(set(values) - set(known))
    if unknown:
        raise ConfigurationError(
            f"{unknown[0]!r} is not a setting of {declared.__module__}; it has {', '.join(known) or 'none'}"
        )
    for field in dataclasses.fields(declared):
        _check_bounds(declared, field, values.get(field.name, field.default))
    return declared(**values)


_BOUNDS = {
    "gt": ("above", operator.gt),
    "ge": ("at least", operator.ge),
    "lt": ("below", operator.lt),
    "le": ("at most", operator.le),
}


def _check_bounds(declared: type[Any], field: dataclasses.Field[Any], value: Any) -> None:
    for name, limit in field.metadata["bounds"].items():
        words, holds = _BOUNDS[name]
        if isinstance(value, str) or not holds(value, limit):
            raise ConfigurationError(f"{declared.__module__}: {field.name} is {value!r}; it must be {words} {limit}")
