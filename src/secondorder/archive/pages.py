"""Blocks of Markdown pages that a program writes, between two comments that readers do not see."""

import re
from collections.abc import Callable, Mapping

from secondorder.errors import InputError

_BEGIN = re.compile(r"^<!-- from reference/metrics: (\w+) -->$", flags=re.MULTILINE)
_END = "<!-- end -->"


def has_blocks(text: str) -> bool:
    """Return whether a page has any block."""
    return _BEGIN.search(text) is not None


def filled(text: str, blocks: Mapping[str, Callable[[], str]], page: str) -> str:
    """Return a page with its blocks written anew.

    Args:
        text: The page.
        blocks: What writes each block, by its name; called only for blocks of the page.
        page: Its name, for errors.

    Raises:
        InputError: A block has an unknown name or no end.
    """
    parts = []
    for before, name in _split(text, page):
        parts.append(before)
        if name:
            if name not in blocks:
                raise InputError(f"{page}: there is no block {name!r}; name one of {', '.join(blocks)}")
            parts.append(f"<!-- from reference/metrics: {name} -->\n{blocks[name]()}\n{_END}")
    return "".join(parts)


def written_by_hand(text: str, page: str) -> str:
    """Return a page without its blocks.

    Args:
        text: The page.
        page: Its name, for errors.

    Raises:
        InputError: A block has no end.
    """
    return "".join(before for before, _ in _split(text, page))


def _split(text: str, page: str) -> list[tuple[str, str]]:
    """Return what stands before each block, with its name; and what follows the last, with no name."""
    found, start = [], 0
    for begin in _BEGIN.finditer(text):
        end = text.find(_END, begin.end())
        following = _BEGIN.search(text, begin.end())
        if end < 0 or (following and following.start() < end):
            raise InputError(f"{page}: the block {begin[1]!r} has no end; put {_END} on a line of its own after it")
        found.append((text[start : begin.start()], begin[1]))
        start = end + len(_END)
    return [*found, (text[start:], "")]
