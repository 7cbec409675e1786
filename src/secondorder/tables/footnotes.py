"""Numbers for texts that are too long for the cells of a table."""

from collections.abc import Iterable


def numbered(texts: Iterable[str]) -> dict[str, int]:
    """Return the number of each different text, from 1 in the order of their first places."""
    return {text: number for number, text in enumerate(dict.fromkeys(texts), start=1)}
