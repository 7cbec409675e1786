"""Show how far a download is: a bar on a terminal, a few lines in a log."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_LINES = 4
_QUIET_BELOW_BYTES = 1_000_000


@contextmanager
def shown_progress(
    name: str, total: int, report: Callable[[str], None], *, enabled: bool
) -> Iterator[Callable[[int], None]]:
    """Yield a function to be called with the length of each piece that has arrived.

    Args:
        name: What is being downloaded.
        total: Its length in bytes.
        report: Takes one line of text; used when standard error is no terminal.
        enabled: Whether to show anything.

    Yields:
        The function that advances the progress.
    """
    if enabled and sys.stderr.isatty():
        from tqdm import tqdm

        with tqdm(total=total, desc=name, unit="B", unit_scale=True, leave=False) as bar:

            def advance(length: int) -> None:
                bar.update(length)

            yield advance
    elif enabled and total >= _QUIET_BELOW_BYTES:
        yield _line_writer(name, total, report)
    else:
        yield lambda _length: None


def _line_writer(name: str, total: int, report: Callable[[str], None]) -> Callable[[int], None]:
    received = 0

    def advance(length: int) -> None:
        nonlocal received
        before, received = received, received + length
        reached = received * _LINES // total
        if reached > before * _LINES // total:
            report(f"{name}: {100 * reached // _LINES} % of {total / 1e6:.1f} MB")

    return advance
