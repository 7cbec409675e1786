"""Widths of hidden layers, written as one setting: "128-64"."""

from secondorder.errors import ConfigurationError


def hidden_widths(hidden: str) -> list[int]:
    """Return the widths that a setting ``hidden`` lists.

    Raises:
        ConfigurationError: It does not list positive whole numbers.
    """
    parts = hidden.split("-")
    if not all(part.isdecimal() and int(part) > 0 for part in parts):
        raise ConfigurationError(f"hidden is {hidden!r}; write widths above 0 with - between, such as '128-64'")
    return [int(part) for part in parts]
