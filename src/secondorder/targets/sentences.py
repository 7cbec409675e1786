"""What a target is, in one line: the first paragraph of the docstring of the module that makes it."""

import ast
import tokenize
from pathlib import Path

from secondorder.errors import ConfigurationError


def one_line(text: str) -> str:
    """Return a text without the ends of its lines."""
    return " ".join(text.split())


def first_paragraph(source: Path) -> str:
    """Return the first paragraph of a module's docstring in one line.

    The file is read no further, because every job of the workflow asks this of every figure and table.

    Raises:
        ConfigurationError: The module begins with no docstring.
    """
    with source.open("rb") as stream:
        for token in tokenize.tokenize(stream.readline):
            if token.type == tokenize.STRING:
                return one_line(str(ast.literal_eval(token.string)).partition("\n\n")[0])
            if token.type not in {tokenize.ENCODING, tokenize.COMMENT, tokenize.NL}:
                break
    raise ConfigurationError(f"{source} begins with no docstring; say there in one line what it makes")
