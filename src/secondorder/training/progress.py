"""Progress of a job: a bar on a terminal, lines in a log."""

import sys
from types import TracebackType
from typing import Protocol, TextIO

from tqdm import tqdm


class Listener(Protocol):
    """Takes what a job tells of its progress."""

    def line(self, text: str) -> None:
        """Take a line of text."""
        ...

    def share(self, done: float) -> None:
        """Take the share of the work, in [0, 1], that is done."""
        ...


class Part:
    """One of several equal parts of a job, which tells of itself as if it were all.

    Args:
        whole: Takes the progress of the job.
        name: Name of this part, in front of its lines.
        position: Number of parts before it.
        parts: Number of all parts.
    """

    def __init__(self, whole: Listener, name: str, position: int, parts: int) -> None:
        self._whole, self._name, self._position, self._parts = whole, name, position, parts

    def line(self, text: str) -> None:
        """Pass a line on, under the part's name."""
        self._whole.line(f"{self._name}: {text}")

    def share(self, done: float) -> None:
        """Pass on the share of the job that is done with this share of the part."""
        self._whole.share((self._position + done) / self._parts)


class Progress:
    """Shows lines and a share of the work; a context manager.

    Args:
        title: What is going on, in front of the bar.
        stream: Where to, stderr when None; a bar is drawn only when it is a terminal.
    """

    def __init__(self, title: str, stream: TextIO | None = None) -> None:
        self._stream = stream = stream or sys.stderr
        self._bar = tqdm(
            desc=title,
            total=1.0,
            file=stream,
            disable=not stream.isatty(),
            bar_format="{desc} {percentage:3.0f}% |{bar}| {elapsed}<{remaining}",
        )

    def line(self, text: str) -> None:
        """Show a line of text, above the bar when there is one."""
        if self._bar.disable:
            self._stream.write(text + "\n")
            self._stream.flush()
        else:
            self._bar.write(text, file=self._stream)

    def share(self, done: float) -> None:
        """Show that this share of the work, in [0, 1], is done."""
        if not self._bar.disable:
            self._bar.update(done - self._bar.n)

    def __enter__(self) -> "Progress":
        """Start."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the bar."""
        self._bar.close()
