"""What every workflow script does around its work: its log, and errors in one line."""

import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from secondorder.errors import SecondOrderError


@contextmanager
def job(log: str) -> Iterator[None]:
    """Send a job's output to its log; a failure is told on the console too, in one line, and ends the job.

    Args:
        log: Path of the log file.
    """
    output, console = sys.stdout, sys.stderr
    with Path(log).open("w", encoding="utf-8", buffering=1) as stream:
        sys.stdout = sys.stderr = stream
        try:
            yield
        except SecondOrderError as error:
            stream.write(f"{error}\n")
            console.write(f"\nError: {error}\n")
            sys.exit(1)
        except Exception as error:
            traceback.print_exc(file=stream)
            console.write(f"\nError: {type(error).__name__}: {error} (all of it in {log})\n")
            sys.exit(1)
        finally:
            sys.stdout, sys.stderr = output, console


def say(line: str) -> None:
    """Write a line for people: to the job's log, or to stderr outside a job."""
    sys.stderr.write(line + "\n")


def import_from_checkout(source: Path) -> None:
    """Let every process that this one starts import the package from ``source``."""
    others = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
    os.environ["PYTHONPATH"] = os.pathsep.join([str(source), *others])
