"""The graph of jobs, read from what ``snakemake --dag dot`` prints."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from secondorder.errors import InputError

_NODE = re.compile(r'^\s*(\d+)\[label = "([^"]*)"', flags=re.MULTILINE)
_EDGE = re.compile(r"^\s*(\d+) -> (\d+)$", flags=re.MULTILINE)


@dataclass(frozen=True)
class JobGraph:
    """Jobs by name, each with those whose files it takes.

    Attributes:
        inputs: By job, the jobs whose files it takes itself. A target that only gathers files is in it like a job.
    """

    inputs: Mapping[str, frozenset[str]]

    def direct(self, target: str) -> frozenset[str]:
        """Return the jobs that make the files of a target.

        Raises:
            InputError: The graph has no such target.
        """
        if target not in self.inputs:
            raise InputError(f"there is no target {target!r}; `snakemake --list-target-rules` lists them")
        return self.inputs[target]

    def needed(self, target: str) -> frozenset[str]:
        """Return all jobs that a target needs when nothing has been made, each once.

        Raises:
            InputError: The graph has no such target.
        """
        needed: set[str] = set()
        waiting = list(self.direct(target))
        while waiting:
            job = waiting.pop()
            if job not in needed:
                needed.add(job)
                waiting.extend(self.inputs[job])
        return frozenset(needed)


def parse_graph(text: str) -> JobGraph:
    r"""Return the graph that Snakemake printed.

    A label is a rule and, on lines of their own, wildcards: ``track_spectrum\nproblem: mnist_mlp``. The job's name is
    the rule and the values, joined by underscores: ``track_spectrum_mnist_mlp``.

    Args:
        text: In the DOT language, an edge from each job to those that take its files.

    Raises:
        InputError: There is no job, or two have one name.
    """
    names = {number: _job_name(label) for number, label in _NODE.findall(text)}
    if not names:
        raise InputError("the text has no job; give what `snakemake <targets> --forceall --dag dot` prints")
    inputs: dict[str, set[str]] = {}
    for name in names.values():
        if name in inputs:
            raise InputError(f"two jobs are called {name!r}; rename a rule, or the values of its wildcards")
        inputs[name] = set()
    for source, user in _EDGE.findall(text):
        inputs[names[user]].add(names[source])
    return JobGraph({name: frozenset(sources) for name, sources in inputs.items()})


def _job_name(label: str) -> str:
    rule, *wildcards = label.split(r"\n")
    return "_".join([rule, *(wildcard.partition(": ")[2] for wildcard in wildcards)])
