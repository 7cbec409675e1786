"""Settings in one line of text, such as ``momentum=0.9, nesterov=true``: of an optimizer that a setting names."""

from collections.abc import Callable, Mapping
from typing import Any, Literal, get_origin, get_type_hints

from secondorder.errors import ConfigurationError
from secondorder.settings import TYPE_NAMES, DeclaredSettings

_WORDS = {"true": True, "false": False}
_READ: Mapping[Any, Callable[[str], Any]] = {bool: _WORDS.__getitem__, int: int, float: float, str: str}


def values_from_text(declared: type[DeclaredSettings], text: str) -> dict[str, Any]:
    """Return the settings that ``text`` gives, by name, each of its declared type.

    Args:
        declared: A ``Settings`` dataclass.
        text: ``name=value`` pairs with commas between them; empty for none.

    Raises:
        ConfigurationError: A part is no pair, a name is not declared or stands twice, or a value has the wrong type.
            Choices and bounds are checked by the settings themselves.
    """
    hints = get_type_hints(declared)
    values: dict[str, Any] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, equals, value = (piece.strip() for piece in part.partition("="))
        if not equals:
            raise ConfigurationError(f"{part!r} is no setting of {declared.__module__}; write name=value, …")
        if name not in hints:
            raise ConfigurationError(f"{name!r} is not a setting of {declared.__module__}; it has {', '.join(hints)}")
        if name in values:
            raise ConfigurationError(f"{name} of {declared.__module__} is given twice; take one of the two away")
        values[name] = _value(hints[name], value, f"{declared.__module__}: {name}")
    return values


def _value(kind: Any, text: str, what: str) -> Any:
    if get_origin(kind) is Literal:
        return text
    try:
        return _READ[kind](text)
    except (KeyError, ValueError):
        raise ConfigurationError(f"{what} is {text!r}; it must be {TYPE_NAMES[kind]}") from None
